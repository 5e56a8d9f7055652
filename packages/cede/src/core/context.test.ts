import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Sim, simulate } from '../../../../test/support/sim.ts'
import { Context, ContextVar, copyContext } from './context.ts'
import { createTask, getRunningLoop } from './current.ts'
import { MisuseError } from './errors.ts'
import { sleep } from './sleep.ts'

test('get gives the value, else the fallback, else the default, else throws', () =>
  new Context().run(() => {
    const plain = new ContextVar<string>('plain')
    const withDefault = new ContextVar<string>('withDefault', { default: 'default' })
    assert.throws(() => plain.get(), /context variable plain: expected a value or a default/)
    assert.throws(() => plain.get(), ReferenceError)
    assert.equal(plain.get('fallback'), 'fallback')
    assert.equal(withDefault.get(), 'default')
    assert.equal(withDefault.get('fallback'), 'fallback')
    plain.set('value')
    withDefault.set('value')
    assert.equal(plain.get(), 'value')
    assert.equal(withDefault.get('fallback'), 'value')
  }))

test('undefined is a value, a fallback and a default like any other', () =>
  new Context().run(() => {
    const variable = new ContextVar<string | undefined>('v', { default: undefined })
    assert.equal(variable.get(), undefined)
    const set = new ContextVar<string | undefined>('w')
    assert.equal(set.get(undefined), undefined)
    set.set(undefined)
    assert.equal(set.get('fallback'), undefined)
  }))

test('two variables of one name are two variables', () =>
  new Context().run(() => {
    const [a, b] = [new ContextVar<number>('same'), new ContextVar<number>('same')]
    a.set(1)
    assert.equal(b.get(2), 2)
  }))

test('reset puts back what was there before that set, also nothing', () =>
  new Context().run(() => {
    const variable = new ContextVar<number>('v')
    const first = variable.set(1)
    const second = variable.set(2)
    assert.equal(first.variable, variable)
    variable.reset(second)
    assert.equal(variable.get(), 1)
    variable.reset(first)
    assert.throws(() => variable.get(), ReferenceError)
  }))

test('a token works once, for its variable, in its context', () =>
  new Context().run(() => {
    const [variable, other] = [new ContextVar<number>('v'), new ContextVar<number>('other')]
    const token = variable.set(1)
    assert.throws(() => other.reset(token), /of context variable other: .*it belongs to v/)
    copyContext().run(() => assert.throws(() => variable.reset(token), /it was made in another context/))
    assert.equal(variable.get(), 1)
    variable.reset(token)
    assert.throws(() => variable.reset(token), /it was used before/)
    assert.throws(() => variable.reset(token), MisuseError)
  }))

test('a copy sees later changes of the original as little as the other way round', () => {
  const variable = new ContextVar<string>('v')
  const original = new Context()
  original.run(() => variable.set('before'))
  const copy = original.copy()
  original.run(() => variable.set('changed'))
  assert.equal(copy.get(variable), 'before')
  copy.run(() => variable.set('copied'))
  assert.equal(original.get(variable), 'changed')
})

test('a context can be looked into', () => {
  const [variable, unset] = [new ContextVar<string>('v'), new ContextVar<string>('u')]
  const context = new Context()
  assert.equal(context.size, 0)
  context.run(() => variable.set('value'))
  assert.deepEqual([context.has(variable), context.has(unset)], [true, false])
  assert.deepEqual([context.get(variable), context.get(unset)], ['value', undefined])
  assert.equal(context.size, 1)
  assert.deepEqual([...context], [[variable, 'value']])
})

test('Context.run nests, gives the value, and leaves the context also when it throws', () => {
  const variable = new ContextVar<string>('v', { default: 'none' })
  const [outer, inner] = [new Context(), new Context()]
  const seen = outer.run(() => {
    variable.set('outer')
    assert.throws(
      () =>
        inner.run(() => {
          variable.set('inner')
          throw new Error('mine')
        }),
      /mine/,
    )
    return variable.get()
  })
  assert.equal(seen, 'outer')
  assert.equal(inner.get(variable), 'inner')
  assert.equal(variable.get(), 'none')
})

test('copyContext is a copy of the current context; setting in it does not reach back', () =>
  new Context().run(() => {
    const variable = new ContextVar<string>('v')
    variable.set('here')
    const copy = copyContext()
    assert.equal(copy.get(variable), 'here')
    copy.run(() => variable.set('there'))
    assert.equal(variable.get(), 'here')
  }))

const user = new ContextVar<string>('user', { default: 'nobody' })

function* setsAndWaits(name: string, waits: number) {
  user.set(name)
  for (let i = 0; i < waits; i++) {
    yield* sleep(0)
    assert.equal(user.get(), name)
  }
}

test('each task keeps its own values between its steps', () =>
  simulate(function* () {
    user.set('main')
    const tasks = ['a', 'b', 'c'].map((name) => createTask(setsAndWaits(name, 5)))
    for (const task of tasks) yield* task
    assert.equal(user.get(), 'main')
  }))

test('plain and wrapped calls share the context of their task', () =>
  simulate(function* () {
    yield* setsAndWaits('set below', 1)
    assert.equal(user.get(), 'set below')
  }))

test('a callback runs in a copy of the context it was scheduled in', () =>
  simulate(function* () {
    const seen: string[] = []
    user.set('scheduled')
    getRunningLoop().callSoon(() => {
      seen.push(user.get())
      user.set('changed by the callback')
    })
    getRunningLoop().callLater(5, () => seen.push(user.get()))
    user.set('changed by the task')
    yield* sleep(10)
    assert.deepEqual(seen, ['scheduled', 'scheduled'])
    assert.equal(user.get(), 'changed by the task')
  }))

test('a task made by a callback inherits from the callback', () =>
  simulate(function* () {
    const seen: string[] = []
    user.set('scheduled')
    getRunningLoop().callSoon(() => {
      user.set('callback')
      createTask(readsUser(seen))
    })
    user.set('main')
    yield* sleep(1)
    assert.deepEqual(seen, ['callback'])
  }))

function* readsUser(seen: string[]) {
  seen.push(user.get())
}

test('a runner begins with a copy of the context in which it was made', async () => {
  const variable = new ContextVar<string>('outside', { default: 'none' })
  const context = new Context()
  const seen = await context.run(() => {
    variable.set('outside')
    return simulate(function* () {
      const inherited = variable.get()
      variable.set('inside')
      return inherited
    })
  })
  assert.equal(seen, 'outside')
  assert.equal(context.get(variable), 'outside')
})

test('what is set outside of the loop stays set there, whatever callbacks run meanwhile', async () => {
  const variable = new ContextVar<string>('outside', { default: 'none' })
  const token = variable.set('outside')
  await simulate(function* () {
    variable.set('main')
    getRunningLoop().callSoon(() => variable.set('callback'))
    yield* sleep(1)
  })
  assert.equal(variable.get(), 'outside')
  variable.reset(token)
  assert.equal(variable.get(), 'none')
})

test('mains of one runner share their values; other runners see nothing of them', async () => {
  const [one, other] = [new Sim(), new Sim()]
  await one.run(setsUser)
  assert.equal(await one.run(returnsUser), 'set by a main')
  assert.equal(await other.run(returnsUser), 'nobody')
  const context = new Context()
  assert.equal(await one.runner.run(returnsUser, { context }), 'nobody')
  await one.end()
  await other.end()
})

function* setsUser() {
  user.set('set by a main')
}

function* returnsUser() {
  return user.get()
}

test('an eager task started inside Context.run has a context of its own', () =>
  simulate(function* () {
    const context = new Context()
    const task = context.run(() => {
      user.set('entered')
      return createTask(setsTwice(), { eager: true })
    })
    assert.equal(context.get(user), 'entered')
    assert.deepEqual(yield* task, ['entered', 'first', 'second'])
    assert.equal(context.get(user), 'entered')
  }))

function* setsTwice() {
  const seen = [user.get()]
  user.set('first')
  yield* sleep(0)
  seen.push(user.get())
  user.set('second')
  return [...seen, user.get()]
}
