/** In which AsyncLocalStorage protocols are called: in that of who connected or listened, whatever woke the driver. */
import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { test } from 'node:test'
import { sleep, withStore } from 'cede'
import { createConnection, createServer, Protocol, type Transport } from 'cede/lowlevel'
import { untilTrue } from '../streams/kinds.ts'
import { HOST, online } from './online.ts'

const storage = new AsyncLocalStorage<string>()

/** Notes which store each of its calls finds. */
class Noting extends Protocol {
  readonly found = new Set<string>()
  readonly calls: string[] = []
  transport!: Transport
  #note(call: string): void {
    this.calls.push(call)
    this.found.add(storage.getStore() ?? 'none')
  }
  override connectionMade(transport: Transport): void {
    this.transport = transport
    this.#note('connectionMade')
  }
  override dataReceived(): void {
    this.#note('dataReceived')
  }
  override pauseWriting(): void {
    this.#note('pauseWriting')
  }
  override resumeWriting(): void {
    this.#note('resumeWriting')
  }
  override eofReceived(): boolean {
    this.#note('eofReceived')
    return true
  }
  override connectionLost(): void {
    this.#note('connectionLost')
  }
}

test("every callback of a protocol finds its own store, also when another's has woken it", () =>
  online(function* () {
    const served: Noting[] = []
    const server = yield* withStore(storage, 'the server', () =>
      createServer(
        () => {
          const protocol = new Noting()
          served.push(protocol)
          return protocol
        },
        { host: HOST, port: 0 },
      ),
    )
    const connect = (name: string) =>
      withStore(storage, name, () => createConnection(() => new Noting(), { host: HOST, port: server.port }))
    const ada = yield* connect('ada')
    const bob = yield* connect('bob')
    yield* untilTrue(() => served.length === 2)

    // Paused ones that have something to read, resumed by somebody else: both are told in one event of the host.
    for (const { transport } of served) transport.pauseReading()
    for (const { transport } of [ada, bob]) transport.write(Buffer.alloc(200_000))
    yield* sleep(5)
    storage.run('a stranger', () => {
      for (const { transport } of served) transport.resumeReading()
    })
    yield* untilTrue(() => served.every(({ calls }) => calls.includes('dataReceived')))

    for (const { transport } of [ada, bob]) transport.writeEof()
    yield* untilTrue(() => served.every(({ calls }) => calls.includes('eofReceived')))
    storage.run('a stranger', () => {
      for (const { transport } of [ada, bob, ...served]) transport.abort()
    })
    const all = [ada.protocol, bob.protocol, ...served]
    yield* untilTrue(() => all.every(({ calls }) => calls.at(-1) === 'connectionLost'))
    assert.deepEqual(
      all.map(({ found }) => [...found].join()),
      ['ada', 'bob', 'the server', 'the server'],
    )
    assert.ok(ada.protocol.calls.includes('pauseWriting'))
    yield* server.shutdown()
  }))
