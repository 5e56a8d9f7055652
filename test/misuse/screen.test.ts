// What someone who made a slip sees: each fixture is a program with one mistake, run as its author would run it.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runChild, type Ended } from '../support/child.ts'

function runFixture(name: string, env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  return runChild(`test/misuse/fixtures/${name}.ts`, [], { env })
}

/** Text that must stand on the screen, in this order. */
function assertPrinted(stderr: string, texts: readonly string[]): void {
  let from = 0
  for (const text of texts) {
    const at = stderr.indexOf(text, from)
    assert.notEqual(
      at,
      -1,
      `expected '${text}' on the screen${from > 0 ? ', further down' : ''}, found\n${stderr}`,
    )
    from = at + text.length
  }
}

const fatal: readonly (readonly [fixture: string, printed: readonly string[]])[] = [
  [
    'yield-without-star',
    [
      'TypeError',
      'a coroutine yielded an operation (sleep of 1 ms)',
      '`yield` without the star',
      'write `yield* operation`, with the star',
      'at brewTea (at a `yield` in it)',
      'at main',
      'yield-without-star.ts:11:',
    ],
  ],
  [
    'yield-promise',
    ['a coroutine yielded a promise', 'write `yield* until(promise)`', 'at main (at a `yield` in it)'],
  ],
  [
    'await-operation',
    ['sleep() was awaited', 'write `yield* operation`, or `await run(operation)` from outside'],
  ],
  [
    'run-inside',
    ['run() was called inside task main', 'inside one write `yield* operation`', 'run-inside.ts:5:'],
  ],
  [
    'async-function',
    [
      'createTask(): expected an operation, found a promise',
      'make the async function a `function*`',
      'async-function.ts:10:',
    ],
  ],
  [
    'not-called',
    [
      'createTask(): expected an operation, found a function (watchDoor)',
      'call it: `watchDoor()`',
      'not-called.ts:10:',
    ],
  ],
  [
    'outside-run',
    ['ClosedError', 'createTask()', 'no running loop; use `run(main)` to start one', 'outside-run.ts:4:'],
  ],
  ['destructured', ['coroutine gather()', '`const [first] = yield* operation`', 'destructured.ts:6:']],
]

for (const [fixture, printed] of fatal) {
  test(`${fixture}: the program ends with status 1 and says what to write`, async () => {
    const { code, stdout, stderr } = await runFixture(fixture)
    assertPrinted(stderr, printed)
    assert.equal(stdout, '')
    assert.equal(code, 1)
  })
}

test('a lost star in debug mode: the coroutine that never ran is named with the place of its call', async () => {
  const { code, stdout, stderr } = await runFixture('lost-star', { CEDE_DEBUG: '1' })
  assertPrinted(stderr, [
    'cede: coroutine save() was called by task main and never run',
    '`yield*` forgotten',
    'lost-star.ts:11:',
  ])
  assert.equal(stdout, 'main ends\n')
  assert.equal(code, 0)
})

test('a lost star without debug mode: nothing runs, nothing is said', async () => {
  const { code, stdout, stderr } = await runFixture('lost-star')
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: 'main ends\n', stderr: '' })
})

test('an unowned failure: the task is named, the error printed with its stack, and the program goes on', async () => {
  const { code, stdout, stderr } = await runFixture('unowned-failure')
  assertPrinted(stderr, [
    'cede: task backup (backUp) failed and nobody waits for it',
    'Error: disk on fire',
    'at readDisk',
    'unowned-failure.ts:6:',
  ])
  assert.equal(stdout, 'main ends\n')
  assert.equal(code, 0)
})

test('an unowned failure in debug mode: also where the task was made, and the whole stack', async () => {
  const { code, stderr } = await runFixture('unowned-failure', { CEDE_DEBUG: '1' })
  assertPrinted(stderr, [
    'cede: task backup (backUp) failed and nobody waits for it',
    'created at main',
    'unowned-failure.ts:16:',
    'Error: disk on fire',
    'at readDisk',
    'unowned-failure.ts:6:',
    'and further out',
    'at copyFiles',
    'unowned-failure.ts:9:',
    'at backUp',
    'unowned-failure.ts:12:',
  ])
  assert.equal(code, 0)
})
