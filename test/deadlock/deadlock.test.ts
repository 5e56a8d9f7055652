// Tasks that wait while nothing is left that could ever wake them: on the host's own loop, in processes of their own.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Ended, runChild } from '../support/child.ts'

const PROGRAMS = 'test/deadlock/programs.ts'

async function ended(program: string): Promise<Ended> {
  return runChild(PROGRAMS, [program])
}

test('who only waits for a signal is told that it does not count', async () => {
  const { code, stderr } = await ended('forever')
  assert.equal(code, 1)
  assert.match(stderr, /^A signal that may come does not count, .*`for \(;;\) yield\* sleep\(/m)
})

async function assertPrints(program: string, ...lines: readonly string[]): Promise<void> {
  const { code, stdout, stderr } = await ended(program)
  assert.deepEqual({ code, stdout, stderr }, { code: 0, stdout: `${lines.join('\n')}\n`, stderr: '' })
}

/** What several runs print is in order for each of them. */
async function assertPrintsInAnyOrder(
  program: string,
  ...ofEach: readonly (readonly string[])[]
): Promise<void> {
  const { code, stdout, stderr } = await ended(program)
  assert.deepEqual({ code, stderr }, { code: 0, stderr: '' })
  const printed = stdout.trimEnd().split('\n')
  for (const lines of ofEach) {
    assert.deepEqual(
      printed.filter((line) => lines.includes(line)),
      lines,
    )
  }
  assert.equal(printed.length, new Set(ofEach.flat()).size)
}

for (const program of ['plain', 'floating']) {
  test(`a main that waits for ever is an error and no silent exit (${program})`, async () => {
    const { code, signal, stderr } = await ended(program)
    assert.equal(signal, null)
    assert.equal(code, 1)
    assert.match(stderr, /DeadlockError: tasks wait and nothing can wake them:\n1 task\n/)
    assert.match(stderr, /^task main \(waitsFor\): waiting for less than 1 s: a future$/m)
    assert.match(stderr, /^ {2}at waitsFor \(.*deadlock.programs\.ts:\d+:\d+\)/m)
    assert.match(stderr, /code: 'CEDE_DEADLOCK'/)
  })
}

test('the message lists who waits for whom, and where', async () => {
  const { code, stderr } = await ended('circle')
  assert.equal(code, 1)
  const report = stderr
    .slice(stderr.indexOf('3 tasks'), stderr.indexOf('] {'))
    .replaceAll(/\(\S*programs\.ts:\d+:\d+\)/g, '(here)')
  assert.equal(
    report,
    [
      '3 tasks',
      'task main: waiting for less than 1 s: task one (waitsFor)',
      '  at eachForTheOther (here)',
      'task one (waitsFor): waiting for less than 1 s: task two (waitsFor)',
      '  created by task main',
      '  at sleepThenJoin (here)',
      '  at waitsFor (here)',
      'task two (waitsFor): waiting for less than 1 s: task one (waitsFor)',
      '  created by task main',
      '  at sleepThenJoin (here)',
      '  at waitsFor (here)',
    ].join('\n'),
  )
})

test('cleanup runs before the error is thrown, and a program that handles it goes on', async () => {
  await assertPrints('cleanup', 'main cleaned up', 'main CEDE_DEADLOCK', 'goes on')
})

test('cleanup that waits for ever itself, without a grace, ends as well', async () => {
  await assertPrints('hangingCleanup', 'main CEDE_DEADLOCK')
})

test('so does that of background tasks after the main has ended; it is reported', async () => {
  await assertPrints('hangingBackground', 'reported CEDE_DEADLOCK', 'main value: value')
})

test('each of several mains of one runner is told', async () => {
  await assertPrintsInAnyOrder(
    'twoMains',
    ['one cleaned up', 'one CEDE_DEADLOCK'],
    ['two cleaned up', 'two CEDE_DEADLOCK'],
  )
})

test('one deadlock after the other is found, also if no timer runs in between', async () => {
  await assertPrints('oneAfterTheOther', 'first CEDE_DEADLOCK', 'second CEDE_DEADLOCK', 'third CEDE_DEADLOCK')
})

test('concurrent runs are deadlocked together, once nothing runs any more', async () => {
  await assertPrintsInAnyOrder(
    'concurrent',
    ['asleep value: slept', 'one cleaned up', 'one CEDE_DEADLOCK'],
    ['asleep value: slept', 'two cleaned up', 'two CEDE_DEADLOCK'],
  )
})

test('background tasks of a deadlocked runner are cancelled, and the runner still works', async () => {
  await assertPrints(
    'background',
    'main CEDE_DEADLOCK',
    'background cleaned up',
    'next main value: the runner still works',
  )
})

for (const source of ['timer', 'socket', 'promise', 'event']) {
  test(`a future that a ${source} outside can settle is no deadlock`, async () => {
    await assertPrints(source, `main value: from ${source === 'event' ? 'an' : 'a'} ${source}`)
  })
}

test('what does not keep the process alive does not prevent the error either', async () => {
  await assertPrints('unrefed', 'main CEDE_DEADLOCK')
})

test('who waits for a stream in memory that nobody writes to is told', async () => {
  await assertPrints('memory', 'from a peer', 'main CEDE_DEADLOCK')
})
