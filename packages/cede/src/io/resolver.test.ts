/** Resolvers: the system's, one that asks a DNS server of this test, and what is made of their answers. */
import assert from 'node:assert/strict'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { test } from 'node:test'
import { setImmediate as afterImmediates } from 'node:timers/promises'
import { createTask, sleep, type Suspension } from 'cede'
import { online } from '../../../../test/network/online.ts'
import { simulate } from '../../../../test/support/sim.ts'
import { thrownBy } from '../../../../test/support/thrown-by.ts'
import { dnsResolver, resolve, systemResolver, type ResolvedAddress, type Resolver } from './resolver.ts'

const TYPE_A = 1
const TYPE_AAAA = 28
const NO_ERROR = 0
const NO_SUCH_NAME = 3

/** What a server knows: addresses by name; 'silent' gets no answer. */
type Zone = Readonly<
  Record<string, { readonly a?: readonly string[]; readonly aaaa?: readonly string[] } | 'silent'>
>

/** A DNS server for the time of a test (RFC 1035, only what these questions need). */
class DnsServer {
  readonly #socket: Socket = createSocket('udp4')
  readonly #zone: Zone
  /** `name type`, as they came. */
  readonly asked: string[] = []

  constructor(zone: Zone) {
    this.#zone = zone
    this.#socket.on('message', (query, { port, address }) => {
      const answer = this.#answer(query)
      if (answer !== null) this.#socket.send(answer, port, address)
    })
  }

  async listen(): Promise<string> {
    this.#socket.bind(0, '127.0.0.1')
    await once(this.#socket, 'listening')
    return `127.0.0.1:${this.#socket.address().port}`
  }

  async close(): Promise<void> {
    this.#socket.close()
    await once(this.#socket, 'close')
  }

  #answer(query: Buffer): Buffer | null {
    const labels: string[] = []
    let at = 12
    for (let length = query[at]!; length > 0; length = query[at]!) {
      labels.push(query.toString('latin1', at + 1, at + 1 + length))
      at += length + 1
    }
    const type = query.readUInt16BE(at + 1)
    const name = labels.join('.').toLowerCase()
    this.asked.push(`${name} ${type === TYPE_A ? 'A' : type === TYPE_AAAA ? 'AAAA' : String(type)}`)
    const known = this.#zone[name]
    if (known === 'silent') return null
    const addresses = (type === TYPE_A ? known?.a : known?.aaaa) ?? []
    const header = Buffer.from(query.subarray(0, 12))
    header.writeUInt16BE(0x8180 | (known === undefined ? NO_SUCH_NAME : NO_ERROR), 2)
    header.writeUInt16BE(1, 4)
    header.writeUInt16BE(addresses.length, 6)
    header.writeUInt32BE(0, 8)
    const records = addresses.map((address) => record(type, address))
    return Buffer.concat([header, query.subarray(12, at + 5), ...records])
  }
}

function record(type: number, address: string): Buffer {
  const data =
    type === TYPE_A
      ? Buffer.from(address.split('.').map(Number))
      : Buffer.from(address.replaceAll(':', ''), 'hex')
  const head = Buffer.alloc(12)
  head.writeUInt16BE(0xc00c, 0) // the name of the question
  head.writeUInt16BE(type, 2)
  head.writeUInt16BE(1, 4)
  head.writeUInt32BE(60, 6)
  head.writeUInt16BE(data.length, 10)
  return Buffer.concat([head, data])
}

const V6 = 'fd00:0000:0000:0000:0000:0000:0000:0001'

async function withDns(zone: Zone, use: (resolver: Resolver, dns: DnsServer) => Generator<Suspension, void>) {
  const dns = new DnsServer(zone)
  const server = await dns.listen()
  try {
    await online(() => use(dnsResolver({ servers: [server], timeoutMs: 100, tries: 1 }), dns))
  } finally {
    await dns.close()
  }
}

test('dnsResolver asks for both kinds, IPv6 first', () =>
  withDns({ 'both.test': { a: ['10.0.0.1', '10.0.0.2'], aaaa: [V6] } }, function* (resolver, dns) {
    const found = yield* resolver('both.test', { family: 0 })
    assert.deepEqual(found, [
      { address: 'fd00::1', family: 6 },
      { address: '10.0.0.1', family: 4 },
      { address: '10.0.0.2', family: 4 },
    ])
    assert.deepEqual(dns.asked.sort(), ['both.test A', 'both.test AAAA'])
  }))

test('dnsResolver asks for one kind only, if only that is wanted', () =>
  withDns({ 'both.test': { a: ['10.0.0.1'], aaaa: [V6] } }, function* (resolver, dns) {
    assert.deepEqual(yield* resolver('both.test', { family: 4 }), [{ address: '10.0.0.1', family: 4 }])
    assert.deepEqual(yield* resolver('both.test', { family: 6 }), [{ address: 'fd00::1', family: 6 }])
    assert.deepEqual(dns.asked, ['both.test A', 'both.test AAAA'])
  }))

test('dnsResolver: one kind is enough', () =>
  withDns({ 'old.test': { a: ['10.0.0.1'] }, 'new.test': { aaaa: [V6] } }, function* (resolver) {
    assert.deepEqual(yield* resolver('old.test', { family: 0 }), [{ address: '10.0.0.1', family: 4 }])
    assert.deepEqual(yield* resolver('new.test', { family: 0 }), [{ address: 'fd00::1', family: 6 }])
  }))

test('dnsResolver: a name that is not known is ENOTFOUND', () =>
  withDns({}, function* (resolver) {
    const error = (yield* thrownBy(resolver('nobody.test', { family: 0 }))) as NodeJS.ErrnoException
    assert.equal(error.code, 'ENOTFOUND')
  }))

test('dnsResolver: a server that says nothing is given up after its time', () =>
  withDns({ 'slow.test': 'silent' }, function* (resolver) {
    const error = (yield* thrownBy(resolver('slow.test', { family: 4 }))) as NodeJS.ErrnoException
    assert.equal(error.code, 'ETIMEOUT')
  }))

test('dnsResolver: a cancel stops it', async () => {
  const dns = new DnsServer({ 'slow.test': 'silent' })
  const server = await dns.listen()
  await online(function* () {
    const resolver = dnsResolver({ servers: [server], timeoutMs: 60_000, tries: 1 })
    const task = createTask(resolver('slow.test', { family: 0 }))
    while (dns.asked.length < 2) yield* sleep(1)
    task.cancel()
    assert.equal((yield* task.join()).status, 'cancelled')
  })
  await dns.close()
  // What it asked with is gone; else this process would live for a minute.
  const open = (): string[] => process.getActiveResourcesInfo().filter((kind) => /UDP|QueryReq/.test(kind))
  for (let round = 0; round < 200 && open().length > 0; round++) await afterImmediates()
  assert.deepEqual(open(), [])
})

test('dnsResolver refuses at the call what is no server', () => {
  assert.throws(() => dnsResolver({ servers: ['not an address'] }), TypeError)
})

test('the resolver of the system knows this machine, by either kind', () =>
  online(function* () {
    assert.deepEqual(yield* systemResolver('localhost', { family: 4 }), [{ address: '127.0.0.1', family: 4 }])
    const error = (yield* thrownBy(systemResolver('nobody.invalid', { family: 4 }))) as NodeJS.ErrnoException
    assert.match(error.code!, /^(ENOTFOUND|EAI_AGAIN)$/)
  }))

test('S141: an address is its own answer, and nobody is asked', () =>
  simulate(function* () {
    const never: Resolver = () => {
      throw new Error('asked')
    }
    assert.deepEqual(yield* resolve('10.0.0.1', 0, never), [{ address: '10.0.0.1', family: 4 }])
    assert.deepEqual(yield* resolve('fd00::1', 0, never), [{ address: 'fd00::1', family: 6 }])
  }))

test('what a resolver returns is looked at', () =>
  simulate(function* () {
    const returning = (value: unknown): Resolver =>
      function* () {
        yield* sleep(0)
        return value as readonly ResolvedAddress[]
      }
    assert.deepEqual(yield* resolve('x', 0, returning([{ address: '10.0.0.1', family: 4 }])), [
      { address: '10.0.0.1', family: 4 },
    ])
    const none = (yield* thrownBy(resolve('x', 0, returning([])))) as NodeJS.ErrnoException
    assert.equal(none.code, 'ENOTFOUND')
    for (const wrong of [
      null,
      '10.0.0.1',
      ['10.0.0.1'],
      [{ address: 'x', family: 4 }],
      [{ address: '::1', family: 4 }],
    ]) {
      assert.match(
        String(yield* thrownBy(resolve('x', 0, returning(wrong)))),
        /expected the resolver to return addresses as/,
      )
    }
  }))

test('a resolver that is no coroutine function, or names what is no address, is told so', () =>
  simulate(function* () {
    const wrong: readonly (readonly [found: unknown, words: RegExp])[] = [
      [
        async () => [],
        /the resolver: expected an operation, found a promise; make the async function a `function\*`/,
      ],
      [() => [], /the resolver: expected an operation, found an array/],
      [() => undefined, /the resolver: expected an operation, found undefined/],
      [answer({ address: 'bad', family: 4 }), /found 'bad', which is no address$/],
      [answer({ address: '::1', family: 4 }), /found '::1' with family 4, which is an address of family 6$/],
      [
        answer({ address: '10.0.0.1' }),
        /found '10.0.0.1' with family undefined, which is an address of family 4$/,
      ],
      [answer({ host: '10.0.0.1' }), /found an entry without an address$/],
      [answer('10.0.0.1'), /found an entry without an address: a string \("10.0.0.1"\)$/],
    ]
    for (const [resolver, words] of wrong)
      assert.match(String(yield* thrownBy(resolve('host.test', 0, resolver as Resolver))), words)
    function answer(entry: unknown) {
      return function* (): Generator<Suspension, unknown> {
        yield* sleep(0)
        return [{ address: '10.0.0.1', family: 4 }, entry]
      }
    }
  }))
