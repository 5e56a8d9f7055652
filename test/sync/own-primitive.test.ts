// A primitive of a user's own, made of what `cede/lowlevel` exports and nothing else: a budget, of which each takes as
// much as it needs. It keeps what all of ours keep.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  cancelAndWait,
  createTask,
  dumpTasks,
  gather,
  sleep,
  timeoutOr,
  withScope,
  type Coroutine,
} from 'cede'
import { announce, GIVE_WAY, mayFinishNow, Waiting, WaitQueue } from 'cede/lowlevel'
import { Diary } from '../support/diary.ts'
import { simulate } from '../support/sim.ts'

class Budget {
  left: number
  readonly #line: WaitQueue<number> = new WaitQueue<number>(() => ({
    what: `a budget with ${this.left} left`,
  }))

  constructor(total: number) {
    this.left = total
  }

  /** @returns how much was left then */
  take(amount: number): Coroutine<number> {
    return new Take(this, this.#line, amount)
  }

  /** Nobody overtakes: what comes behind a large one waits for it. */
  tryTake(amount: number): boolean {
    if (this.#line.length > 0 || amount > this.left) return false
    this.left -= amount
    return true
  }

  giveBack(amount: number): void {
    this.left += amount
    this.letIn()
  }

  letIn(): void {
    for (let first = this.#line.first; first !== null; first = this.#line.first) {
      const { amount } = first as Take
      if (amount > this.left) return
      this.left -= amount
      this.#line.wakeOne(this.left)
    }
  }

  get waiting(): number {
    return this.#line.length
  }
}

class Take extends Waiting<number> {
  readonly amount: number
  readonly #budget: Budget

  constructor(budget: Budget, line: WaitQueue<number>, amount: number) {
    super(line)
    this.amount = amount
    this.#budget = budget
  }

  override begin() {
    const budget = this.#budget
    if (budget.waiting > 0 || this.amount > budget.left) return announce(this)
    if (!mayFinishNow()) return announce(GIVE_WAY)
    budget.tryTake(this.amount)
    return this.end(budget.left)
  }

  /** Those behind one that gives up may fit. */
  override unpark() {
    super.unpark()
    this.#budget.letIn()
  }
}

test('a primitive of lowlevel: at once if there is enough, else in line, and nobody overtakes', () =>
  simulate(function* () {
    const budget = new Budget(10)
    const diary = new Diary()
    function* spend(name: string, amount: number) {
      const left = yield* budget.take(amount)
      diary.write(`${name} leaves ${left}`)
      yield* sleep(10)
      budget.giveBack(amount)
    }
    yield* gather([spend('a', 6), spend('b', 5), spend('c', 1), spend('d', 5)])
    diary.expect('a leaves 4', 'b leaves 5', 'c leaves 4', 'd leaves 4')
    assert.deepEqual([budget.left, budget.waiting], [10, 0])
  }))

test('a primitive of lowlevel: a waiter that is cancelled takes nothing, and those behind it go on', () =>
  simulate(function* () {
    const budget = new Budget(10)
    yield* budget.take(5)
    const large = createTask(budget.take(9))
    const small = createTask(budget.take(2))
    yield* sleep(0)
    assert.equal(budget.waiting, 2)
    yield* cancelAndWait(large)
    assert.equal(yield* small, 3)
    assert.deepEqual([budget.left, budget.waiting], [3, 0])
  }))

test('a primitive of lowlevel: one that was handed its share has it, also if it is cancelled in that moment', () =>
  simulate(function* () {
    const budget = new Budget(1)
    yield* budget.take(1)
    let taken = 0
    function* taker() {
      yield* budget.take(1)
      taken++
      yield* sleep(1)
    }
    const task = createTask(taker())
    yield* sleep(0)
    budget.giveBack(1)
    task.cancel()
    assert.equal((yield* task.join()).status, 'cancelled')
    assert.deepEqual([taken, budget.left], [1, 0])
  }))

test('a primitive of lowlevel: in a cancelled scope it takes nothing, also if there is enough', () =>
  simulate(function* () {
    const budget = new Budget(1)
    yield* withScope(function* (scope) {
      scope.cancel()
      yield* budget.take(1)
      assert.fail('it goes on in a cancelled scope')
    })
    assert.equal(budget.left, 1)
    assert.equal(yield* timeoutOr(0, budget.take(1), 'too late'), 'too late')
    assert.equal(budget.left, 1)
  }))

test('a primitive of lowlevel: after many without a wait the task gives way', () =>
  simulate(function* () {
    const budget = new Budget(1_000)
    let others = 0
    createTask(
      (function* () {
        others++
        yield* sleep(0)
      })(),
    )
    for (let i = 0; i < 500; i++) yield* budget.take(1)
    assert.equal(others, 1)
    assert.equal(budget.left, 500)
  }))

test('a primitive of lowlevel: a dump says what is waited for; a second use is refused', () =>
  simulate(function* () {
    const budget = new Budget(0)
    const task = createTask(budget.take(1), { name: 'taker' })
    yield* sleep(0)
    assert.match(dumpTasks(), /taker[^]*a budget with 0 left/)
    budget.giveBack(1)
    yield* task

    budget.giveBack(2)
    const take = budget.take(1)
    yield* take
    assert.throws(() => take[Symbol.iterator](), { code: 'CEDE_MISUSE' })
  }))

test('a primitive of lowlevel: outside of a task it takes nothing', () => {
  const budget = new Budget(1)
  assert.throws(() => [...(budget.take(1) as unknown as Iterable<unknown>)], { code: 'CEDE_MISUSE' })
  assert.equal(budget.left, 1)
})
