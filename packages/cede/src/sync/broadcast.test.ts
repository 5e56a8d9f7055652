import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import {
  Broadcast,
  ClosedError,
  createTask,
  gather,
  LaggedError,
  MisuseError,
  sleep,
  until,
  type Subscription,
} from 'cede'
import { simulate } from '../../../../test/support/sim.ts'
import { thrownOf } from '../../../../test/support/thrown-by.ts'

function* collect(subscription: Subscription<number>) {
  const items: number[] = []
  for (let item = yield* subscription.receive(); item !== null; item = yield* subscription.receive()) {
    items.push(item)
  }
  return items
}

test('everyone gets what is sent after they subscribed, and then the end', () =>
  simulate(function* () {
    const radio = new Broadcast<number>(10)
    yield* radio.send(0)
    const first = createTask(collect(radio.subscribe()))
    yield* radio.send(1)
    const second = createTask(collect(radio.subscribe()))
    yield* sleep(0)
    yield* radio.send(2)
    assert.equal(radio.trySend(3), true)
    radio.close()
    radio.close()
    assert.deepEqual(yield* gather([first, second]), [
      [1, 2, 3],
      [2, 3],
    ])
    assert.throws(() => radio.send(4), ClosedError)
    assert.throws(() => radio.trySend(4), ClosedError)
    assert.throws(() => radio.subscribe(), ClosedError)
  }))

test('wait: a sender waits for the slowest, and nobody gets the item before all can', () =>
  simulate(function* () {
    const radio = new Broadcast<number>(1)
    const [slow, quick] = [radio.subscribe(), radio.subscribe()]
    yield* radio.send(1)
    assert.equal(yield* quick.receive(), 1)
    assert.equal(radio.trySend(2), false)
    const sends = [createTask(radio.send(3), { name: 'Anna' }), createTask(radio.send(4))]
    yield* sleep(0)
    assert.equal(quick.tryReceive(), undefined)
    assert.match(
      sends[0]!.waitsFor()!.what,
      /room in all subscriptions of a broadcast \(1 of 2 full, in line: Anna, /,
    )
    assert.deepEqual(radio.statistics(), { subscriptions: 2, full: 1, capacity: 1, tasksWaitingToSend: 2 })
    assert.equal(yield* slow.receive(), 1)
    yield* sends[0]!
    assert.deepEqual([slow.tryReceive(), quick.size], [3, 1])
    // Both must have room for the next.
    yield* sleep(0)
    assert.equal(sends[1]!.done(), false)
    assert.equal(quick.tryReceive(), 3)
    yield* sends[1]!
    assert.deepEqual([slow.tryReceive(), quick.tryReceive()], [4, 4])
  }))

test('wait: a sender that is cancelled has sent nothing; one that is held up by a closed subscription goes on', () =>
  simulate(function* () {
    const radio = new Broadcast<number>(1)
    const [slow, quick] = [radio.subscribe(), radio.subscribe()]
    yield* radio.send(1)
    const cancelled = createTask(radio.send(2))
    const patient = createTask(radio.send(3))
    yield* sleep(0)
    cancelled.cancel()
    quick.tryReceive()
    slow.close()
    yield* patient
    assert.equal(quick.tryReceive(), 3)
    assert.equal(quick.tryReceive(), undefined)
    assert.equal(radio.statistics().full, 0)
    yield* cancelled.join()
  }))

test('wait: closing ends the waits of senders, and what they wanted to send is not sent', () =>
  simulate(function* () {
    const radio = new Broadcast<number>(1, { name: 'radio' })
    const only = radio.subscribe()
    yield* radio.send(1)
    const waiting = createTask(radio.send(2))
    yield* sleep(0)
    radio.close()
    const error = yield* thrownOf(ClosedError, waiting)
    assert.equal(error.message, 'send(): broadcast radio was expected to be open, found it closed')
    assert.equal(yield* only.receive(), 1)
    assert.equal(yield* only.receive(), null)
  }))

test('drop-oldest: a slow reader loses the oldest, is told how many, and holds up nobody', () =>
  simulate(function* () {
    const radio = new Broadcast<number>(2, { slowReaders: 'drop-oldest' })
    const slow = radio.subscribe()
    const quick = createTask(collect(radio.subscribe()))
    for (let i = 1; i <= 5; i++) {
      yield* radio.send(i)
      yield* sleep(0)
    }
    assert.deepEqual([slow.dropped, slow.size], [3, 2])
    radio.close()
    assert.deepEqual(yield* collect(slow), [4, 5])
    assert.deepEqual(yield* quick, [1, 2, 3, 4, 5])
  }))

test('close: a slow reader reads what it has, and is then told that it was too slow', () =>
  simulate(function* () {
    const radio = new Broadcast<number>(2, { slowReaders: 'close' })
    const slow = radio.subscribe()
    const quick = createTask(collect(radio.subscribe()))
    for (let i = 1; i <= 5; i++) {
      assert.equal(radio.trySend(i), true)
      yield* sleep(0)
    }
    assert.deepEqual([slow.lagged, slow.size, radio.statistics().subscriptions], [true, 2, 1])
    assert.equal(yield* slow.receive(), 1)
    assert.equal(slow.tryReceive(), 2)
    const error = yield* thrownOf(LaggedError, slow.receive())
    assert.equal(error.code, 'CEDE_LAGGED')
    assert.throws(() => slow.tryReceive(), LaggedError)
    yield* thrownOf(LaggedError, slow.next())
    radio.close()
    assert.deepEqual(yield* quick, [1, 2, 3, 4, 5])
  }))

test('a subscription that is closed refuses at the call, and ends its waits', () =>
  simulate(function* () {
    const radio = new Broadcast<number>(2)
    const subscription = radio.subscribe()
    const waiting = [createTask(subscription.receive()), createTask(subscription.next())]
    yield* sleep(0)
    subscription.close()
    subscription.close()
    for (const task of waiting) yield* thrownOf(ClosedError, task)
    for (const act of ['receive', 'tryReceive', 'next'] as const) {
      assert.throws(() => subscription[act](), ClosedError)
    }
    assert.equal(radio.statistics().subscriptions, 0)
    yield* radio.send(1)
    assert.equal(inspect(subscription), 'Subscription(0 items, closed)')
    assert.equal(inspect(radio), 'Broadcast(0 subscriptions)')
  }))

test('loops: forEach, and for await, which closes the subscription when it is left', () =>
  simulate(function* () {
    const radio = new Broadcast<number>(10)
    const seen: string[] = []
    const each = createTask(
      radio.subscribe().forEach(function* (item) {
        seen.push(`forEach ${item}`)
      } as (item: number) => Generator<never>),
    )
    const subscription = radio.subscribe()
    const foreign = (async () => {
      for await (const item of subscription) {
        seen.push(`await ${item}`)
        if (item === 2) break
      }
    })()
    for (let i = 1; i <= 3; i++) yield* radio.send(i)
    yield* until(foreign)
    assert.equal(subscription.closed, true)
    radio.close()
    yield* each
    assert.deepEqual(seen.sort(), ['await 1', 'await 2', 'forEach 1', 'forEach 2', 'forEach 3'])
  }))

test('bad arguments are refused at the call', () => {
  for (const capacity of [0, -1, 0.5, NaN]) assert.throws(() => new Broadcast(capacity), RangeError)
  assert.throws(() => new Broadcast(1, { slowReaders: 'drop' as never }), MisuseError)
  assert.throws(() => new Broadcast<null>(1).send(null), MisuseError)
})
