// SIGINT and SIGTERM sent to programs of ours, and how their end looks to the parent. S95 to S97 are here, since a
// signal needs a process.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { run, Runner, sleep, until } from 'cede'
import { Child, type Ended } from '../support/child.ts'

const PROGRAMS = 'test/signals/programs.ts'

interface Sent {
  /** The first signal is sent when this was printed. */
  readonly at?: string
  readonly signal?: NodeJS.Signals
  /** A second signal, and when. */
  readonly again?: { readonly at: string; readonly signal?: NodeJS.Signals }
}

async function signalled(program: string, sent: Sent = {}): Promise<Ended> {
  const child = new Child(PROGRAMS, [program])
  await child.printed(sent.at ?? 'ready\n')
  child.kill(sent.signal ?? 'SIGINT')
  if (sent.again !== undefined) {
    await child.printed(sent.again.at)
    child.kill(sent.again.signal ?? 'SIGINT')
  }
  return child.ended
}

function assertEnded(ended: Ended, expected: Partial<Ended>): void {
  const found = Object.fromEntries(Object.keys(expected).map((key) => [key, ended[key as keyof Ended]]))
  assert.deepEqual(found, expected, `stdout:\n${ended.stdout}\nstderr:\n${ended.stderr}`)
}

const lines = (...printed: readonly string[]): string => printed.map((line) => `${line}\n`).join('')

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  test(`S95 (ours): the first ${signal} wakes and cancels the main, whose cleanup runs, and ends the process by itself, silently`, async () => {
    assertEnded(await signalled('plain', { signal }), {
      signal,
      code: null,
      stdout: lines('main ready', 'main cleans up', 'main cleaned up'),
      stderr: '',
    })
  })

  test(`S95 (ours): run rejects with CancelledError and ${signal} as its reason; where that is handled the program goes on, and the signal is raised at its end`, async () => {
    const said = ['main ready', 'main cleans up', 'main cleaned up', `main CancelledError ${signal}`]
    assertEnded(await signalled('handled', { signal }), {
      signal,
      stdout: lines(...said, 'goes on', 'went on'),
      stderr: '',
    })
  })
}

test('S95: a main that finishes normally in spite of the signal gives its value', async () => {
  assertEnded(await signalled('value'), {
    signal: 'SIGINT',
    stdout: lines('ready', 'main value: a value in spite of it'),
    stderr: '',
  })
})

test('S95 (ours): an error of the cleanup is what run rejects with', async () => {
  assertEnded(await signalled('failing'), {
    signal: 'SIGINT',
    stdout: lines('ready', 'main cleanup failed'),
    stderr: '',
  })
})

test('a rejection nobody handles, of a run that was not awaited, ends the process silently as well', async () => {
  assertEnded(await signalled('floating'), {
    signal: 'SIGINT',
    stdout: lines('main ready', 'main cleans up', 'main cleaned up'),
    stderr: '',
  })
})

test('a rejection nobody handles does not cut short the cleanup of another run', async () => {
  const ended = await signalled('floatingPair', { at: 'slow ready\n' })
  assertEnded(ended, { signal: 'SIGINT', stderr: '' })
  for (const printed of ['quick cleaned up', 'slow cleaned up', 'background cleaned up']) {
    assert.ok(ended.stdout.includes(printed), `${printed} is missing in:\n${ended.stdout}`)
  }
})

test('the cleanup of background tasks runs before run settles', async () => {
  const ended = await signalled('background', { at: 'main ready\n' })
  const [, afterwards] = ended.stdout.split('main ready\n')
  assert.equal(
    afterwards,
    lines(
      'main cleans up',
      'main cleaned up',
      'background cleans up',
      'background cleaned up',
      'main CancelledError SIGINT',
    ),
  )
})

test('one signal cancels all concurrent mains that handle it, and no other', async () => {
  const ended = await signalled('concurrent', { at: 'three ready\n' })
  assertEnded(ended, { signal: 'SIGINT', stderr: '' })
  // The two end side by side.
  const told = ended.stdout.split('\n').filter((line) => /CancelledError|value/.test(line))
  assert.deepEqual(told, [
    'one CancelledError SIGINT',
    'two CancelledError SIGINT',
    'three value: not cancelled',
  ])
})

test('S96 (ours): a second signal prints where every task is and ends at once, also when cleanup hangs', async () => {
  const ended = await signalled('hanging', { again: { at: 'hangs\n' } })
  assertEnded(ended, { signal: 'SIGINT', stdout: lines('ready', 'hangs') })
  assert.match(
    ended.stderr,
    /^\nSIGINT again: ending at once\. Where every task is:\n1 task\ntask main: waiting/,
  )
  assert.match(
    ended.stderr,
    /cancelled: sleep of 600000 ms\n {2}at hangsInCleanup \(.*programs\.ts:\d+:\d+\)/,
  )
})

test('S96 (ours): the second signal need not be the same; the process ends by the second', async () => {
  const ended = await signalled('hanging', { again: { at: 'hangs\n', signal: 'SIGTERM' } })
  assertEnded(ended, { signal: 'SIGTERM' })
  assert.match(ended.stderr, /^\nSIGTERM again/)
})

test('S96 (ours): after the first signal a second ends the process also if a new main has begun meanwhile', async () => {
  const ended = await signalled('again', { again: { at: 'second ready\n' } })
  assertEnded(ended, { signal: 'SIGINT' })
  assert.ok(!ended.stdout.includes('second cleans up'))
})

test('S96: where somebody else listens, signals are not handled by default', async () => {
  assertEnded(await signalled('listening'), {
    code: 0,
    stdout: lines('main ready', 'somebody else was told', 'main value: not cancelled'),
    stderr: '',
  })
})

test('handleSignals: true cancels although somebody else listens; what that one keeps alive ends with 128 + n', async () => {
  const said = ['main ready', 'somebody else was told', 'main cleans up', 'main cleaned up']
  assertEnded(await signalled('both'), { code: 130, stdout: lines(...said, 'main CancelledError SIGINT') })
})

test("handleSignals: ['SIGTERM'] leaves SIGINT its default action", async () => {
  assertEnded(await signalled('onlyTerm'), { signal: 'SIGINT', stdout: lines('main ready') })
  const said = ['main ready', 'main cleans up', 'main cleaned up', 'main CancelledError SIGTERM']
  assertEnded(await signalled('onlyTerm', { signal: 'SIGTERM' }), {
    signal: 'SIGTERM',
    stdout: lines(...said),
  })
})

test('handleSignals: false leaves both their default action', async () => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    assertEnded(await signalled('off', { signal }), { signal, stdout: lines('main ready'), stderr: '' })
  }
})

test('an unrelated error after the signal is printed, and its own exit code tells', async () => {
  for (const program of ['crash', 'rejection']) {
    const ended = await signalled(program)
    assertEnded(ended, { code: 1, signal: null })
    assert.match(ended.stderr, /Error: an unrelated error\n {4}at /)
  }
})

test("the program's own handler of uncaught errors keeps its say after a signal", async () => {
  const ended = await signalled('ownHandler')
  assertEnded(ended, { signal: 'SIGINT', stderr: '' })
  assert.match(ended.stdout, /the program handles an unrelated error\nwent on\n$/)
})

test('a process that survives its own signal, as PID 1 does, exits with 128 + n', async () => {
  for (const [signal, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    const ended = await signalled('survivor', { signal })
    assertEnded(ended, { code, stderr: '' })
    assert.ok(ended.stdout.includes(`raised ${signal}\n`))
  }
  assertEnded(await signalled('hangingSurvivor', { again: { at: 'hangs\n' } }), { code: 130 })
})

test('an exit code that the program chooses after the signal is what the parent sees', async () => {
  for (const [program, code] of [
    ['exitsZero', 0],
    ['exitsInFinally', 7],
    ['choosesInCleanup', 7],
    ['secondRunIsFine', 0],
  ] as const) {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      const ended = await signalled(program, { signal })
      assertEnded(ended, { code, signal: null, stderr: '' })
      assert.match(ended.stdout, /cleaned up\n/)
    }
  }
})

test('no choice after the signal: an exit code from before, 1, one that the host sets, a run that comes after', async () => {
  for (const program of ['choseBefore', 'exitsOne', 'waitsForEver', 'secondRun']) {
    assertEnded(await signalled(program, { signal: 'SIGTERM' }), {
      code: null,
      signal: 'SIGTERM',
      stderr: '',
    })
  }
})

test('a second signal ends the process by that signal, whatever exit code was chosen', async () => {
  const ended = await signalled('choosesAndHangs', {
    signal: 'SIGTERM',
    again: { at: 'hangs\n', signal: 'SIGINT' },
  })
  assertEnded(ended, { code: null, signal: 'SIGINT' })
})

test('S96: a run listens while it runs, and no longer', async () => {
  const listening = (): number => process.listenerCount('SIGINT') + process.listenerCount('SIGTERM')
  const before = listening()
  const first = run(sleep(1))
  let endSecond = (): void => {}
  const second = run(until(new Promise<void>((resolve) => (endSecond = resolve))))
  assert.equal(listening(), before + 2)
  await first
  assert.equal(listening(), before + 2)
  endSecond()
  await second
  assert.equal(listening(), before)

  await run(sleep(0), { handleSignals: false }).then(() => assert.equal(listening(), before))
  const runner = new Runner({ handleSignals: ['SIGTERM'] })
  const outcome = runner.run(sleep(1))
  assert.equal(listening(), before + 1)
  await outcome
  assert.equal(listening(), before)
  await runner.close()
})
