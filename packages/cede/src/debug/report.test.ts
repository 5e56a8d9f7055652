import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { printReport } from './report.ts'

function printed(t: TestContext, report: () => void): unknown[][] {
  const { mock } = t.mock.method(console, 'error', () => {})
  report()
  return mock.calls.map((call) => call.arguments)
}

test('a report is a sentence, and the error as the console prints it', (t) => {
  const error = new Error('a bug')
  assert.deepEqual(
    printed(t, () => printReport({ message: 'something failed', error })),
    [['cede: something failed'], [error]],
  )
})

test('what came from outside is told in one line', (t) => {
  const error = new Error('it was reset', { cause: new Error('ECONNRESET') })
  assert.deepEqual(
    printed(t, () => printReport({ message: 'conn-1 was lost', error, fromOutside: true })),
    [['cede: conn-1 was lost: it was reset']],
  )
})

test('an error may be undefined, and a report may have none', (t) => {
  assert.deepEqual(
    printed(t, () => printReport({ message: 'something failed', error: undefined })),
    [['cede: something failed'], [undefined]],
  )
  assert.deepEqual(
    printed(t, () => printReport({ message: 'something is slow' })),
    [['cede: something is slow']],
  )
})
