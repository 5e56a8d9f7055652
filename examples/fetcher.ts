// Fetches many URLs, so many at a time, each with a timeout and some more attempts:
// npx tsx examples/fetcher.ts --limit 4 https://example.com https://example.org
//
// `fetch` is a function of promises. `until` waits for what it promises, and aborts it when the wait is cancelled: by
// the timeout around it, or by Ctrl-C. So a request that is given up is also ended, and nothing of it lingers.
//
// ci: --demo
// ci-expect: ^200 +2 B .*/fast, 1st attempt$
// ci-expect: ^200 .*/flaky, 3rd attempt$
// ci-expect: ^failed .*/slow, 3rd attempt: no answer within 0\.3 s$
// ci-expect: ^failed .*/reset, 3rd attempt: fetch failed
// ci-expect: ^404 .*/missing, 1st attempt: Not Found$
// ci-expect: ^12 URLs: 9 fetched, 3 failed$
// ci: --help
// ci-expect: ^Usage: .*fetcher
import { mapLimit, sleep, timeout, TimeoutError, until } from 'cede'
import { countFrom, parse, runProgram, secondsFrom, UsageError } from './support/command-line.ts'
import { startUnreliableServer } from './support/unreliable-server.ts'

const help = `Usage: npx tsx examples/fetcher.ts [options] <url>...

Fetches the URLs and says how that went. Ends with status 1 if one of them failed.

  --limit <number>     how many at a time (default 8)
  --timeout <seconds>  how long one attempt may take (default 10)
  --attempts <number>  how often to try (default 3)
  --demo               fetches from a server of its own that is slow and fails on purpose
  --help               print this`

interface Settings {
  readonly urls: readonly string[]
  readonly limit: number
  readonly timeoutMs: number
  readonly attempts: number
}

interface Outcome {
  readonly url: string
  readonly attempt: number
  /** Null if there was none. */
  readonly status: number | null
  readonly bytes: number
  /** Empty: it was fetched. */
  readonly problem: string
}

// ---------------------------------------------------------------------- one URL

/** Tries until it has an answer that will not get better. */
function* fetchPatiently(url: string, { timeoutMs, attempts }: Settings) {
  for (let attempt = 1; ; attempt++) {
    const outcome = yield* fetchOnce(url, attempt, timeoutMs)
    const { status } = outcome
    const mayGetBetter = status === null || status === 429 || status >= 500
    if (!mayGetBetter || attempt === attempts) return outcome
    yield* sleep(backoffMs(attempt))
  }
}

/** Twice as long each time, and never quite the same, so that those who failed together do not come back together. */
function backoffMs(attempt: number): number {
  return 100 * 2 ** (attempt - 1) * (0.5 + Math.random() / 2)
}

function* fetchOnce(url: string, attempt: number, timeoutMs: number) {
  const outcome = { url, attempt, status: null, bytes: 0, problem: '' }
  try {
    return {
      ...outcome,
      ...(yield* timeout(
        timeoutMs,
        until((signal) => download(url, signal)),
      )),
    } satisfies Outcome
  } catch (error) {
    // A cancel is no error: it does not come this way, and nobody has to tell it apart from the rest.
    const problem =
      error instanceof TimeoutError ? `no answer within ${timeoutMs / 1_000} s` : messageOf(error as Error)
    return { ...outcome, problem } satisfies Outcome
  }
}

/** The whole answer, not only its beginning: the signal ends both. */
async function download(url: string, signal: AbortSignal) {
  const response = await fetch(url, { signal })
  const body = await response.arrayBuffer()
  const { ok, status, statusText } = response
  return { status, bytes: body.byteLength, problem: ok ? '' : statusText }
}

/** `fetch` says little more than that it failed; why, says the cause. */
function messageOf({ message, cause }: Error): string {
  return cause instanceof Error ? `${message}: ${cause.message}` : message
}

// ---------------------------------------------------------------------- all of them

function* fetchAll(settings: Settings) {
  const outcomes = yield* mapLimit(settings.urls, settings.limit, function* (url) {
    const outcome = yield* fetchPatiently(url, settings)
    console.log(lineOf(outcome))
    return outcome
  })
  const failed = outcomes.filter(({ problem }) => problem !== '').length
  return { failed, summary: `${outcomes.length} URLs: ${outcomes.length - failed} fetched, ${failed} failed` }
}

function lineOf({ url, attempt, status, bytes, problem }: Outcome): string {
  const ordinal = ['1st', '2nd', '3rd'][attempt - 1] ?? `${attempt}th`
  const result = `${status ?? 'failed'}`.padEnd(7) + `${bytes} B`.padStart(9)
  return `${result}  ${url}, ${ordinal} attempt${problem === '' ? '' : `: ${problem}`}`
}

function* main(settings: Settings | 'demo') {
  if (settings === 'demo') return yield* demo()
  const { failed, summary } = yield* fetchAll(settings)
  console.log(summary)
  if (failed > 0) process.exitCode = 1
}

function* demo() {
  const server = yield* until(startUnreliableServer())
  try {
    const paths = [
      '/fast',
      '/flaky',
      '/slow',
      '/reset',
      '/missing',
      ...Array.from({ length: 7 }, (_, i) => `/fast?${i}`),
    ]
    const urls = paths.map((path) => server.url + path)
    const { summary } = yield* fetchAll({ urls, limit: 3, timeoutMs: 300, attempts: 3 })
    console.log(summary)
  } finally {
    server.close()
  }
}

// ---------------------------------------------------------------------- the command line

function settingsFrom(args: readonly string[]): Settings | 'demo' {
  const { values, positionals } = parse({
    args: [...args],
    allowPositionals: true,
    options: {
      limit: { type: 'string', default: '8' },
      timeout: { type: 'string', default: '10' },
      attempts: { type: 'string', default: '3' },
      demo: { type: 'boolean', default: false },
    },
  })
  if (values.demo) return 'demo'
  if (positionals.length === 0) throw new UsageError('expected one or more URLs, found none')
  for (const url of positionals) {
    if (!URL.canParse(url) || !/^https?:/.test(url))
      throw new UsageError(`expected a URL with http: or https:, found '${url}'`)
  }
  return {
    urls: positionals,
    limit: countFrom('--limit', values.limit),
    timeoutMs: secondsFrom('--timeout', values.timeout),
    attempts: countFrom('--attempts', values.attempts),
  }
}

await runProgram({ file: 'fetcher.ts', help }, settingsFrom, main)
