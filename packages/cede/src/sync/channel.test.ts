import assert from 'node:assert/strict'
import { test } from 'node:test'
import { inspect } from 'node:util'
import {
  BrokenChannelError,
  channel,
  ClosedError,
  createTask,
  gather,
  MisuseError,
  run,
  sleep,
  taskGroup,
  until,
  type Receiver,
  type Sender,
} from 'cede'
import { simulate } from '../../../../test/support/sim.ts'
import { thrownOf } from '../../../../test/support/thrown-by.ts'

function* produce(sender: Sender<string>, name: string, count: number) {
  try {
    for (let i = 1; i <= count; i++) {
      yield* sender.send(`${name}${i}`)
      yield* sleep(1)
    }
  } finally {
    sender.close()
  }
}

function* consume(receiver: Receiver<string>, into: string[]) {
  try {
    for (let item = yield* receiver.receive(); item !== null; item = yield* receiver.receive())
      into.push(item)
  } finally {
    receiver.close()
  }
}

test('it ends when all senders are closed, and everything sent has been received by somebody', () =>
  simulate(function* () {
    const { sender, receiver } = channel<string>(1)
    const [one, two]: [string[], string[]] = [[], []]
    yield* taskGroup(function* (group) {
      group.createTask(consume(receiver.clone(), one))
      group.createTask(consume(receiver, two))
      group.createTask(produce(sender.clone(), 'a', 3))
      group.createTask(produce(sender, 'b', 4))
      yield* sleep(0)
    })
    assert.deepEqual([...one, ...two].sort(), ['a1', 'a2', 'a3', 'b1', 'b2', 'b3', 'b4'])
    assert.ok(one.length > 0 && two.length > 0)
  }))

test('what was sent before the last sender closed is received before the end', () =>
  simulate(function* () {
    const { sender, receiver } = channel<number>(5)
    sender.trySend(1)
    sender.trySend(2)
    sender.close()
    sender.close()
    assert.equal(yield* receiver.receive(), 1)
    assert.equal(receiver.tryReceive(), 2)
    assert.equal(yield* receiver.receive(), null)
    assert.equal(receiver.tryReceive(), null)
    assert.deepEqual(yield* receiver.next(), { done: true, value: undefined })
  }))

test('send waits while it is full; tryReceive tells empty from ended', () =>
  simulate(function* () {
    const { sender, receiver } = channel<number>(1)
    assert.equal(receiver.tryReceive(), undefined)
    assert.equal(sender.trySend(1), true)
    assert.equal(sender.trySend(2), false)
    const waiting = createTask(sender.send(3))
    yield* sleep(0)
    assert.deepEqual(sender.statistics(), {
      size: 1,
      capacity: 1,
      senders: 1,
      receivers: 1,
      tasksWaitingToSend: 1,
      tasksWaitingToReceive: 0,
    })
    assert.equal(yield* receiver.receive(), 1)
    yield* waiting
    assert.equal(yield* receiver.receive(), 3)
  }))

test('when all receivers are closed senders are told, those who wait as well', () =>
  simulate(function* () {
    const { sender, receiver } = channel<number>(1, { name: 'news' })
    const other = receiver.clone()
    sender.trySend(1)
    const waiting = createTask(sender.send(2))
    yield* sleep(0)
    receiver.close()
    yield* sleep(0)
    assert.equal(waiting.done(), false)
    other.close()
    const error = yield* thrownOf(BrokenChannelError, waiting)
    assert.equal(error.code, 'CEDE_BROKEN_CHANNEL')
    assert.match(error.message, /^send\(\) to channel news: an open receiver was expected/)
    assert.throws(() => sender.send(3), BrokenChannelError)
    assert.throws(() => sender.trySend(3), BrokenChannelError)
  }))

test('closing one end ends the waits at that end, and no others', () =>
  simulate(function* () {
    const { sender, receiver } = channel<number>(1)
    const other = receiver.clone()
    const closed = [
      createTask(receiver.receive()),
      createTask(receiver.next()),
      createTask(receiver.receive()),
    ]
    const open = createTask(other.receive())
    yield* sleep(0)
    receiver.close()
    for (const task of closed) {
      assert.match(
        (yield* thrownOf(ClosedError, task)).message,
        /an open receiver was expected, found it closed/,
      )
    }
    yield* sender.send(1)
    assert.equal(yield* open, 1)

    sender.trySend(2)
    const clone = sender.clone()
    const sends = [createTask(sender.send(3)), createTask(clone.send(4))]
    yield* sleep(0)
    sender.close()
    yield* thrownOf(ClosedError, sends[0]!)
    assert.equal(yield* other.receive(), 2)
    assert.equal(yield* other.receive(), 4)
    yield* sends[1]!
    clone.close()
    assert.equal(yield* other.receive(), null)
  }))

test('an end that is closed refuses at the call', () => {
  const { sender, receiver } = channel<number>(1)
  sender.close()
  receiver.close()
  for (const act of [
    () => sender.send(1),
    () => sender.trySend(1),
    () => sender.clone(),
    () => receiver.receive(),
    () => receiver.tryReceive(),
    () => receiver.next(),
    () => receiver.clone(),
  ]) {
    assert.throws(act, ClosedError)
  }
})

test('an operation that was made before its end was closed does nothing', () =>
  simulate(function* () {
    const { sender, receiver } = channel<number>(5)
    sender.trySend(1)
    const [send, receive, next] = [sender.send(2), receiver.receive(), receiver.next()]
    const keeper = receiver.clone()
    receiver.close()
    sender.close()
    for (const operation of [send, receive, next]) yield* thrownOf(ClosedError, operation)
    assert.equal(yield* keeper.receive(), 1)
    assert.equal(yield* keeper.receive(), null)
  }))

test('null and capacities below 1 are refused at the call', () => {
  const { sender } = channel<number>(1)
  assert.throws(() => sender.send(null as never), MisuseError)
  assert.throws(() => sender.trySend(null as never), MisuseError)
  for (const capacity of [0, -1, 1.5, NaN]) assert.throws(() => channel(capacity), RangeError)
})

test('one that is cancelled while it waits has sent or received nothing', () =>
  simulate(function* () {
    const { sender, receiver } = channel<number>(1)
    const receiving = createTask(receiver.receive())
    yield* sleep(0)
    receiving.cancel()
    sender.trySend(1)
    const sending = createTask(sender.send(2))
    yield* sleep(0)
    sending.cancel()
    yield* gather([receiving.join(), sending.join()])
    assert.equal(yield* receiver.receive(), 1)
    assert.equal(receiver.tryReceive(), undefined)
  }))

test('loops: forEach, next, and for await in async functions', async () => {
  const { sender, receiver } = channel<string>(10)
  const seen: string[] = []
  const foreign = (async () => {
    for await (const item of receiver.clone()) seen.push(`await ${item}`)
  })()
  sender.trySend('1')
  await run(function* () {
    const each = createTask(
      receiver.forEach(function* (item) {
        seen.push(`forEach ${item}`)
        yield* sleep(0)
      }),
    )
    while (receiver.statistics().tasksWaitingToReceive < 2) yield* sleep(0)
    // One for each of them, in the order in which they came to wait.
    sender.trySend('2')
    sender.trySend('3')
    sender.close()
    yield* each
    yield* until(foreign)
  })
  assert.equal(seen[0], 'await 1')
  assert.match(seen.slice(1).sort().join(), /^(await 2,forEach 3|await 3,forEach 2)$/)
})

test('for await ends when its receiver is closed', async () => {
  const { sender, receiver } = channel<string>(10)
  const ended = (async () => {
    for await (const item of receiver) assert.fail(item)
  })()
  receiver.close()
  await ended
  assert.throws(() => sender.trySend('late'), BrokenChannelError)
})

test('using closes', () => {
  const { sender, receiver } = channel<number>(1, { name: 'ids' })
  assert.equal(inspect(sender), 'Sender(ids: 0 of 1 items, 1 senders, 1 receivers)')
  sender[Symbol.dispose]()
  receiver[Symbol.dispose]()
  assert.deepEqual([sender.closed, receiver.closed], [true, true])
  assert.equal(inspect(receiver), 'Receiver(ids: 0 of 1 items, closed)')
})
