// Crawls a web site politely: so many pages at a time, so many requests a second, and another try where that may help:
// npx tsx examples/rate-limited-crawler.ts --demo
//
// The crawlers take pages from a queue and put the links they find back into it. So nobody knows beforehand how many
// there will be; the crawl is over when every page that was put in has been dealt with, which is what `join` waits for.
// Since the crawlers fill the queue that they empty, it has no bound: with one, all of them could wait for room.
//
// ci: --demo --rate 200
// ci-expect: ^200 +.*/$
// ci-expect: ^200 +.*/page/11$
// ci-expect: ^200 +.*/unsteady, 3rd attempt$
// ci-expect: ^404 +.*/gone$
// ci-expect: ^15 pages, 1 of them missing; at most 3 at a time; within the rate$
// ci: --help
// ci-expect: ^Usage: .*rate-limited-crawler
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Queue, retry, taskGroup, timeout, TokenBucket, until, type TaskGroup } from 'cede'
import { countFrom, Failure, parse, runProgram, UsageError } from './support/command-line.ts'

const help = `Usage: npx tsx examples/rate-limited-crawler.ts [options] <url>

Follows the links of a site, from one page to all that can be reached, and stays on that site.

  --rate <number>      requests a second (default 10)
  --limit <number>     pages at a time (default 3)
  --pages <number>     how many pages at most (default 100)
  --demo               crawls a small site of its own
  --help               print this`

interface Settings {
  /** Null: the demo. */
  readonly start: URL | null
  readonly rate: number
  readonly limit: number
  readonly pages: number
}

/** What may be different the next time. */
class NotNowError extends Error {}

// ---------------------------------------------------------------------- the crawl

class Crawl {
  readonly #settings: Settings
  readonly #bucket: TokenBucket
  readonly #pages = new Queue<URL>(Infinity, { name: 'pages' })
  readonly #seen = new Set<string>()
  #underWay = 0
  /** The greatest number of pages that were under way at a time. */
  most = 0
  missing = 0
  /** Those of them that could not be had, whatever was tried. */
  failed = 0

  constructor(settings: Settings) {
    this.#settings = settings
    // One token a request. With a burst of 1 requests keep their distance, instead of coming in bunches.
    this.#bucket = new TokenBucket({ perSecond: settings.rate, burst: 1 })
  }

  get found(): number {
    return this.#seen.size
  }

  *follow(start: URL) {
    this.#discover(start)
    yield* taskGroup((group) => this.#supervise(group))
  }

  *#supervise(group: TaskGroup) {
    for (let i = 0; i < this.#settings.limit; i++) {
      group.createTask(this.#pages.forEach((url) => this.#visit(url)))
    }
    yield* this.#pages.join()
    this.#pages.shutdown()
  }

  *#visit(url: URL) {
    this.most = Math.max(this.most, ++this.#underWay)
    try {
      let attempts = 0
      const { status, body } = yield* retry(
        (attempt) => {
          attempts = attempt
          return this.#request(url)
        },
        { attempts: 4, delayMs: 20, retryIf: (error) => error instanceof NotNowError },
      )
      console.log(`${status}  ${url.href}${attempts === 1 ? '' : `, ${ordinal(attempts)} attempt`}`)
      if (status >= 400) this.missing++
      for (const link of linksOf(body, url)) this.#discover(link)
    } catch (error) {
      this.missing++
      this.failed++
      console.log(`failed  ${url.href}: ${why(error)}`)
    } finally {
      this.#underWay--
    }
  }

  /** Each attempt needs a token of its own. The time it waits for that is not the server's fault. */
  *#request(url: URL) {
    yield* this.#bucket.take()
    const answer = yield* timeout(
      5_000,
      until((signal) => download(url, signal)),
    )
    if (answer.status >= 500) throw new NotNowError(`the server answers ${answer.status}`)
    return answer
  }

  #discover(url: URL): void {
    if (this.#seen.has(url.href) || this.#seen.size >= this.#settings.pages) return
    this.#seen.add(url.href)
    this.#pages.tryPut(url)
  }
}

async function download(url: URL, signal: AbortSignal) {
  const response = await fetch(url, { signal })
  return { status: response.status, body: await response.text() }
}

/** The links of a page that stay on its site. */
function linksOf(body: string, page: URL): URL[] {
  const links: URL[] = []
  for (const [, href] of body.matchAll(/href="([^"#]*)/g)) {
    if (!URL.canParse(href!, page.href)) continue
    const link = new URL(href!, page)
    if (link.origin === page.origin) links.push(link)
  }
  return links
}

/** What fetch throws says only that it failed; the cause says why. */
function why(error: unknown): string {
  const { message, cause } = error as Error
  return cause instanceof Error ? `${message} (${cause.message || String(cause)})` : message
}

function counted(number: number): string {
  return `${number} ${number === 1 ? 'page' : 'pages'}`
}

function ordinal(number: number): string {
  return ['1st', '2nd', '3rd'][number - 1] ?? `${number}th`
}

// ---------------------------------------------------------------------- a site to crawl

/** Twelve pages in a tree, one that works only at the third request, and one that is gone. */
async function startSite() {
  let unsteady = 0
  const requestsMs: number[] = []
  const server = createServer((request, response) => {
    requestsMs.push(performance.now())
    const path = request.url ?? '/'
    const number = path === '/' ? 0 : Number(/^\/page\/(\d+)$/.exec(path)?.[1] ?? NaN)
    if (path === '/unsteady') response.writeHead(++unsteady < 3 ? 503 : 200).end()
    else if (Number.isNaN(number) || number > 12) response.writeHead(404).end()
    else {
      const links = [2 * number + 1, 2 * number + 2]
        .filter((link) => link <= 12)
        .map((link) => `/page/${link}`)
      if (number === 0) links.push('/unsteady', '/gone', 'https://elsewhere.example/')
      response.end(links.map((link) => `<a href="${link}">${link}</a>`).join('\n'))
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { server, requestsMs, url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`) }
}

function* main(settings: Settings) {
  const crawl = new Crawl(settings)
  if (settings.start !== null) {
    yield* crawl.follow(settings.start)
    console.log(`${counted(crawl.found)}, ${crawl.missing} of them missing`)
    if (crawl.failed === crawl.found) throw new Failure('no page could be had')
    return
  }
  const { server, requestsMs, url } = yield* until(startSite())
  try {
    yield* crawl.follow(url)
    const tookMs = requestsMs.at(-1)! - requestsMs[0]!
    // A little less than the tokens allow: a request may be longer under way than the one after it.
    const within = tookMs >= 0.8 * ((requestsMs.length - 1) / settings.rate) * 1_000
    console.log(
      `${counted(crawl.found)}, ${crawl.missing} of them missing; at most ${crawl.most} at a time; ` +
        (within ? 'within the rate' : 'too fast'),
    )
  } finally {
    server.close()
    server.closeAllConnections()
  }
}

// ---------------------------------------------------------------------- the command line

function settingsFrom(args: readonly string[]): Settings {
  const { values, positionals } = parse({
    args: [...args],
    allowPositionals: true,
    options: {
      rate: { type: 'string', default: '10' },
      limit: { type: 'string', default: '3' },
      pages: { type: 'string', default: '100' },
      demo: { type: 'boolean', default: false },
    },
  })
  const [start = '', ...more] = positionals
  if (values.demo && start !== '') throw new UsageError('expected a URL or --demo, found both')
  if (more.length > 0) throw new UsageError(`expected one URL, found ${positionals.join(' ')}`)
  if (!values.demo && start === '') throw new UsageError('expected a URL, or --demo, found neither')
  if (!values.demo && !(URL.canParse(start) && /^https?:/.test(start))) {
    throw new UsageError(`expected a URL with http: or https:, found '${start}'`)
  }
  return {
    start: values.demo ? null : new URL(start),
    rate: countFrom('--rate', values.rate),
    limit: countFrom('--limit', values.limit),
    pages: countFrom('--pages', values.pages),
  }
}

await runProgram({ file: 'rate-limited-crawler.ts', help }, settingsFrom, main)
