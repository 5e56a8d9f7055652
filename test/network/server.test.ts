/** Servers: who they serve, how they end, and what they leave behind. */
import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { connect, type Socket } from 'node:net'
import { test } from 'node:test'
import {
  allTasks,
  ConnectError,
  ConnectionLostError,
  ContextVar,
  cancelAndWait,
  createTask,
  currentTask,
  dumpTasks,
  gather,
  getRunningLoop,
  InvalidStateError,
  ListenError,
  MisuseError,
  openConnection,
  run,
  sleep,
  sleepForever,
  startServer,
  withStore,
  type ExceptionContext,
  type Operation,
  type Server,
  type StreamReader,
  type StreamWriter,
} from 'cede'
import { HOST, online } from './online.ts'

function* echo(reader: StreamReader, writer: StreamWriter) {
  for (let line = yield* reader.readLine(); line !== null; line = yield* reader.readLine())
    yield* writer.send(line)
}

function* wait(_reader: StreamReader, _writer: StreamWriter) {
  yield* sleepForever()
}

const anyPort = { host: HOST, port: 0 } as const

function open(server: Server) {
  return openConnection({ host: HOST, port: server.port })
}

function* thrownBy(operation: Operation<unknown>) {
  try {
    yield* operation
  } catch (error) {
    return error
  }
  throw new Error('expected an error, found none')
}

function* readOneLine(server: Server) {
  const { reader } = yield* open(server)
  return yield* reader.readLine()
}

function* untilTrue(condition: () => boolean) {
  while (!condition()) yield* sleep(1)
}

test('a handler that returns has its connection closed, with everything sent', () =>
  online(function* () {
    const answer = Buffer.alloc(3_000_000, 'z')
    const server = yield* startServer(function* (_, writer) {
      writer.write(answer)
    }, anyPort)
    const { reader, writer } = yield* open(server)
    assert.equal((yield* reader.read())?.length, answer.length)
    writer.close()
    yield* server.shutdown()
  }))

test('a handler that throws is reported with the name of its connection, and only that connection ends', async () => {
  const reports: ExceptionContext[] = []
  await online(
    function* () {
      const server = yield* startServer(function* (reader) {
        const line = yield* reader.readLine()
        if (line?.toString() === 'throw\n') throw new Error('a bug')
        yield* sleepForever()
      }, anyPort)
      const good = yield* open(server)
      const bad = yield* open(server)
      yield* bad.writer.send('throw\n')
      assert.equal(yield* bad.reader.readLine(), null)
      yield* good.writer.send('fine\n')
      assert.equal(server.connections.length, 1)
      bad.writer.close()
      good.writer.close()
      yield* server.shutdown({ graceMs: 0 })
    },
    { reports },
  )
  assert.equal(reports.length, 1)
  assert.match(
    reports[0]!.message,
    /^the handler of conn-2 127\.0\.0\.1:\d+ failed; its connection is closed$/,
  )
  assert.equal((reports[0]!.error as Error).message, 'a bug')
  assert.match(reports[0]!.task!.name, /^conn-2 /)
})

test('a handler that fails in `finally` while it is cancelled is reported', async () => {
  const reports: ExceptionContext[] = []
  await online(
    function* () {
      const server = yield* startServer(function* () {
        try {
          yield* sleepForever()
        } finally {
          yield* sleep(1)
          throw new Error('in finally')
        }
      }, anyPort)
      const { reader, writer } = yield* open(server)
      yield* untilTrue(() => server.connections[0]?.task?.status === 'waiting')
      yield* server.shutdown({ graceMs: 0 })
      assert.equal(yield* reader.readLine(), null)
      writer.close()
    },
    { reports },
  )
  assert.deepEqual(
    reports.map(({ error }) => (error as Error).message),
    ['in finally'],
  )
})

test('a handler that makes no operation is reported, and told what to write', async () => {
  const reports: ExceptionContext[] = []
  await online(
    function* () {
      const server = yield* startServer((() => Promise.resolve()) as unknown as typeof echo, anyPort)
      const { reader, writer } = yield* open(server)
      assert.equal(yield* reader.readLine(), null)
      writer.close()
      yield* server.shutdown()
    },
    { reports },
  )
  assert.match(
    String(reports[0]?.error),
    /the handler of startServer\(\): expected an operation, found a promise/,
  )
})

test('connections are named by number and peer, and stand in the list while they last', () =>
  online(function* () {
    const server = yield* startServer(wait, anyPort)
    const first = yield* open(server)
    const second = yield* open(server)
    yield* untilTrue(() => server.connections.every(({ task }) => task?.status === 'waiting'))
    assert.deepEqual(
      server.connections.map(({ name }) => name),
      [first, second].map(({ writer }, i) => `conn-${i + 1} 127.0.0.1:${writer.localAddress.port}`),
    )
    assert.equal(server.connections[1]!.task!.name, server.connections[1]!.name)
    assert.ok(allTasks().some(({ name }) => name === `server 127.0.0.1:${server.port}`))
    server.connections[0]!.task!.cancel()
    assert.equal(yield* first.reader.readLine(), null)
    yield* untilTrue(() => server.connections.length === 1)
    first.writer.close()
    second.writer.close()
    yield* server.shutdown({ graceMs: 0 })
    assert.deepEqual(server.connections, [])
  }))

test('without a host it listens on every address, and IPv4 peers are named as such', () =>
  online(function* () {
    const server = yield* startServer(echo, { port: 0 })
    const { reader, writer } = yield* open(server)
    yield* writer.send('x\n')
    yield* reader.readLine()
    assert.equal(server.connections[0]!.name, `conn-1 127.0.0.1:${writer.localAddress.port}`)
    writer.close()
    yield* server.shutdown()
  }))

test('200 connects at once are all served', () =>
  online(function* () {
    const server = yield* startServer(echo, anyPort)
    const talk = function* (i: number) {
      const { reader, writer } = yield* open(server)
      yield* writer.send(`hello ${i}\n`)
      const line = yield* reader.readLine()
      writer.close()
      return line?.toString()
    }
    const lines = yield* gather(Array.from({ length: 200 }, (_, i) => talk(i)))
    assert.deepEqual(
      lines,
      Array.from({ length: 200 }, (_, i) => `hello ${i}\n`),
    )
    yield* server.shutdown()
    assert.equal(server.refused, 0)
  }))

test('above maxConnections connects are refused and counted, and those that are open go on', () =>
  online(function* () {
    const server = yield* startServer(echo, { ...anyPort, maxConnections: 2 })
    const kept = [yield* open(server), yield* open(server)]
    yield* untilTrue(() => server.connections.length === 2)
    // The reset may come while it still connects, or after.
    const error = yield* thrownBy(readOneLine(server))
    assert.ok(error instanceof ConnectError || error instanceof ConnectionLostError)
    assert.equal(error.systemCode, 'ECONNRESET')
    assert.equal(server.refused, 1)
    yield* kept[0]!.writer.send('still here\n')
    assert.equal((yield* kept[0]!.reader.readLine())?.toString(), 'still here\n')
    for (const { writer } of kept) writer.close()
    yield* untilTrue(() => server.connections.length === 0)
    const again = yield* open(server)
    yield* again.writer.send('x\n')
    assert.equal((yield* again.reader.readLine())?.toString(), 'x\n')
    again.writer.close()
    yield* server.shutdown()
  }))

test('port in use: one error with the address in it; the server that has it goes on', () =>
  online(function* () {
    const server = yield* startServer(echo, anyPort)
    const error = yield* thrownBy(startServer(echo, { host: HOST, port: server.port }))
    assert.ok(error instanceof ListenError)
    assert.equal(error.code, 'CEDE_LISTEN')
    assert.equal(error.systemCode, 'EADDRINUSE')
    assert.equal(
      error.message,
      `listen on 127.0.0.1:${server.port}: expected a free port, found it in use (EADDRINUSE)`,
    )
    assert.match(error.stack!, /server\.test\.ts/)
    const { writer } = yield* open(server)
    writer.close()
    yield* server.shutdown()
  }))

test('an address of another machine, and a host that does not exist', () =>
  online(function* () {
    const other = yield* thrownBy(startServer(echo, { host: '192.0.2.1', port: 0 }))
    assert.ok(other instanceof ListenError)
    assert.match(
      other.message,
      /listen on 192\.0\.2\.1:0: expected an address of this machine, found another/,
    )
    const unknown = yield* thrownBy(startServer(echo, { host: 'no-such-host.invalid', port: 0 }))
    assert.ok(unknown instanceof ListenError)
    assert.match(unknown.message, /listen on no-such-host\.invalid:0: expected a host that is known/)
  }))

test('a start that is cancelled leaves nothing open', () =>
  online(function* () {
    const starting = createTask(startServer(echo, anyPort), { eager: true })
    assert.equal(starting.status, 'waiting')
    starting.cancel()
    yield* starting.join()
    assert.equal(starting.status, 'cancelled')
  }))

test('S133: close refuses new clients at once and leaves old ones; waitClosed ends with the last', () =>
  online(function* () {
    const server = yield* startServer(echo, anyPort)
    const old = yield* open(server)
    yield* old.writer.send('before\n')
    yield* old.reader.readLine()
    assert.equal(server.isServing(), true)
    server.close()
    server.close()
    assert.equal(server.isServing(), false)
    assert.ok((yield* thrownBy(open(server))) instanceof Error)
    const closed = createTask(server.waitClosed())
    yield* old.writer.send('after\n')
    assert.equal((yield* old.reader.readLine())?.toString(), 'after\n')
    assert.equal(closed.done(), false)
    assert.match(closed.waitsFor()!.what, /^1 connection of the server on 127\.0\.0\.1:\d+ to end$/)
    old.writer.close()
    yield* closed
    yield* server.waitClosed()
  }))

test('S134: closeClients sends what is buffered first; abortClients cuts also a peer that never reads', () =>
  online(function* () {
    const server = yield* startServer(function* (reader, writer) {
      writer.write(Buffer.alloc(15_000_000))
      yield* reader.readLine()
    }, anyPort)
    const polite = yield* open(server)
    yield* untilTrue(() => server.connections[0]?.task?.status === 'waiting')
    server.closeClients()
    assert.equal((yield* polite.reader.read())?.length, 15_000_000)
    polite.writer.close()
    yield* untilTrue(() => server.connections.length === 0)

    const deaf = connect({ host: HOST, port: server.port })
      .on('error', () => {})
      .pause()
    yield* untilTrue(() => server.connections[0]?.task?.status === 'waiting')
    server.closeClients()
    yield* sleep(20)
    assert.equal(server.connections.length, 1, 'it has bytes to send that nobody takes')
    server.abortClients()
    yield* untilTrue(() => server.connections.length === 0)
    deaf.destroy()
    yield* server.shutdown()
  }))

test('S135: cancelling serveForever closes the server and its clients, and waits for the handlers', () =>
  online(function* () {
    const order: string[] = []
    const server = yield* startServer(function* () {
      try {
        yield* sleepForever()
      } finally {
        yield* sleep(5)
        order.push('handler has cleaned up')
      }
    }, anyPort)
    const serving = createTask(server.serveForever())
    const { reader, writer } = yield* open(server)
    yield* untilTrue(() => server.connections[0]?.task?.status === 'waiting')
    serving.cancel()
    yield* serving.join()
    order.push('serveForever has ended')
    assert.equal(serving.status, 'cancelled')
    assert.deepEqual(order, ['handler has cleaned up', 'serveForever has ended'])
    assert.equal(yield* reader.readLine(), null)
    assert.deepEqual(server.connections, [])
    assert.equal(server.isServing(), false)
    writer.close()
  }))

test('S135: serveForever on a closed server is an error, as is a second one; close() ends it', () =>
  online(function* () {
    const server = yield* startServer(echo, anyPort)
    const serving = createTask(server.serveForever())
    yield* sleep(0)
    const second = yield* thrownBy(server.serveForever())
    assert.ok(second instanceof InvalidStateError)
    assert.match(second.message, /a listening server was expected, found one that is served already/)
    server.close()
    yield* serving
    const closed = yield* thrownBy(server.serveForever())
    assert.ok(closed instanceof InvalidStateError)
    assert.match(closed.message, /found one that is closed/)
  }))

test('S136: handlers run in a copy each of the context the server was started in', () =>
  online(function* () {
    const user = new ContextVar('user', { default: 'nobody' })
    const storage = new AsyncLocalStorage<string>()
    const seen: string[] = []
    user.set('ada')
    const server = yield* withStore(storage, 'stored', function* () {
      return yield* startServer(function* (reader) {
        seen.push(`${user.get()} ${storage.getStore()}`)
        user.set('changed by a handler')
        yield* reader.readLine()
      }, anyPort)
    })
    user.set('changed later')
    for (let i = 0; i < 2; i++) {
      const { writer } = yield* open(server)
      yield* untilTrue(() => seen.length === i + 1)
      writer.close()
    }
    assert.deepEqual(seen, ['ada stored', 'ada stored'])
    assert.equal(user.get(), 'changed later')
    yield* server.shutdown()
  }))

test('shutdown lets connections finish within the grace', () =>
  online(function* () {
    const server = yield* startServer(echo, anyPort)
    const { reader, writer } = yield* open(server)
    yield* writer.send('one\n')
    yield* reader.readLine()
    const shutdown = createTask(server.shutdown({ graceMs: 60_000 }), { eager: true })
    assert.equal(server.isServing(), false)
    yield* writer.send('two\n')
    assert.equal((yield* reader.readLine())?.toString(), 'two\n')
    assert.equal(shutdown.done(), false)
    writer.close()
    yield* shutdown
  }))

test('shutdown cancels what is left after the grace; last words are sent', () =>
  online(function* () {
    const server = yield* startServer(function* (_, writer) {
      try {
        yield* sleepForever()
      } finally {
        yield* writer.send('goodbye\n')
      }
    }, anyPort)
    const { reader, writer } = yield* open(server)
    yield* untilTrue(() => server.connections[0]?.task?.status === 'waiting')
    const startedMs = getRunningLoop().time()
    yield* server.shutdown({ graceMs: 30 })
    assert.ok(getRunningLoop().time() - startedMs >= 30)
    assert.equal((yield* reader.read())?.toString(), 'goodbye\n')
    writer.close()
  }))

test('shutdown cuts a peer that never reads', () =>
  online(function* () {
    const server = yield* startServer(function* (_, writer) {
      for (;;) yield* writer.send(Buffer.alloc(100_000))
    }, anyPort)
    const deaf = connect({ host: HOST, port: server.port })
      .on('error', () => {})
      .pause()
    yield* untilTrue(() => server.connections[0]?.task?.status === 'waiting')
    yield* server.shutdown({ graceMs: 5 })
    assert.deepEqual(server.connections, [])
    deaf.destroy()
  }))

test('shutdown twice at once, and after the end; a negative grace is refused', () =>
  online(function* () {
    const server = yield* startServer(wait, anyPort)
    const { writer } = yield* open(server)
    yield* gather([server.shutdown({ graceMs: 5 }), server.shutdown({ graceMs: 10 })])
    yield* server.shutdown()
    assert.throws(() => server.shutdown({ graceMs: -1 }), RangeError)
    writer.close()
  }))

test('a handler whose cleanup never ends is cut by its grace, told, and the server ends', async () => {
  const reports: ExceptionContext[] = []
  await online(
    function* () {
      const server = yield* startServer(function* () {
        try {
          yield* sleepForever()
        } finally {
          yield* sleepForever()
        }
      }, anyPort)
      const { writer } = yield* open(server)
      yield* untilTrue(() => server.connections[0]?.task?.status === 'waiting')
      server.connections[0]!.task!.cancel({ graceMs: 20 })
      yield* server.shutdown({ graceMs: 0 })
      writer.close()
    },
    { reports },
  )
  assert.equal(reports.length, 1)
  assert.match(reports[0]!.message, /the cleanup of task conn-1 .* was cut short/)
})

test('a server ends with the run it was started in, though nobody closed it', async () => {
  const sockets: Socket[] = []
  const ended: string[] = []
  await online(function* () {
    const server = yield* startServer(function* () {
      try {
        yield* sleepForever()
      } finally {
        ended.push(currentTask()!.name.slice(0, 6))
      }
    }, anyPort)
    sockets.push(connect({ host: HOST, port: server.port }).on('error', () => {}))
    yield* untilTrue(() => server.connections[0]?.task?.status === 'waiting')
    sockets[0]!.resume()
  })
  assert.deepEqual(ended, ['conn-1'])
  for (const socket of sockets) socket.destroy()
})

test('a server ends with its run, though the main ends in the step that has started it', async () => {
  let kept: Server | null = null
  await online(function* () {
    kept = yield* startServer(wait, anyPort)
  })
  assert.equal(kept!.isServing(), false)
})

test('a main that fails takes its servers with it', async () => {
  let port = 0
  await assert.rejects(
    online(function* () {
      const server = yield* startServer(wait, anyPort)
      port = server.port
      yield* sleep(0)
      throw new Error('the main fails')
    }),
    /the main fails/,
  )
  await run(function* () {
    const server = yield* startServer(wait, { host: HOST, port })
    yield* server.shutdown()
  })
})

test('`using` closes a server', () =>
  online(function* () {
    let kept: Server
    {
      using server = yield* startServer(echo, anyPort)
      kept = server
      assert.equal(server.isServing(), true)
    }
    assert.equal(kept.isServing(), false)
    yield* kept.waitClosed()
  }))

test('options that are none are told at the call, with what to write', () => {
  const connecting = openConnection as (...options: readonly unknown[]) => unknown
  const starting = startServer as unknown as (handler: unknown, options?: unknown) => unknown
  const told = (call: () => unknown, message: RegExp, kind: typeof MisuseError | RangeErrorConstructor) =>
    assert.throws(call, (error) => error instanceof kind && message.test(error.message))
  told(
    () => connecting(),
    /found undefined; write `openConnection\(\{ host: '127.0.0.1', port: 8080 \}\)`$/,
    MisuseError,
  )
  told(
    () => connecting('localhost', 80),
    /expected options, found a number \(80\); write `openConnection\(\{ host, port \}\)`$/,
    MisuseError,
  )
  told(() => connecting({ port: 80, host: 5 }), /expected a host .* found a number \(5\)/, MisuseError)
  told(
    () => starting(wait),
    /found undefined; write `startServer\(handler, \{ host: '127.0.0.1', port: 8080 \}\)`$/,
    MisuseError,
  )
  told(() => starting(wait, { port: 0, host: null }), /expected a host .* found null/, MisuseError)
  told(
    () => connecting({ port: 80, host: ['127.0.0.1', '::1'] }),
    /expected one host, found an array.*several are for servers/,
    MisuseError,
  )
  told(() => connecting('tcp://*:80'), /expected the host of a server, found .*"\*"/, MisuseError)
  told(() => connecting({ port: 0 }), /the port of a server was expected, found 0/, RangeError)
  told(() => connecting({ port: '80' }), /found a string \("80"\); write `Number\(\.\.\.\)`$/, RangeError)
  told(() => connecting({ port: 65_536 }), /from 0 to 65535, found 65536$/, RangeError)
  told(
    () => connecting({ port: 80, limitBytes: '10' }),
    /limitBytes .* above 0, found a string \("10"\)$/,
    RangeError,
  )
  told(() => connecting({ port: 80, limitBytes: 0 }), /limitBytes .* above 0, found 0$/, RangeError)
  told(
    () => starting(wait, { path: '/x', mode: '660' }),
    /mode .* found a string \("660"\); write `mode: 0o660`$/,
    RangeError,
  )
})

test('debug mode does not say that tasks of a server were created at no place', () =>
  online(
    function* () {
      const server = yield* startServer(wait, anyPort)
      const { writer } = yield* open(server)
      yield* untilTrue(() => server.connections.some(({ task }) => task !== null))
      const dump = dumpTasks()
      assert.match(dump, /^task server /m)
      assert.match(dump, /^task conn-1 /m)
      assert.doesNotMatch(dump, /created at *$/m)
      writer.close()
      yield* server.shutdown({ graceMs: 0 })
    },
    { debug: true },
  ))

test('why the last connection was refused is known', () =>
  online(function* () {
    const server = yield* startServer(wait, { ...anyPort, maxConnections: 1 })
    const first = yield* open(server)
    yield* untilTrue(() => server.connections.length === 1)
    assert.equal(server.lastRefusal, null)
    // Depending on who is faster, the second one fails to connect, or is connected for a moment.
    yield* createTask(open(server)).join()
    yield* untilTrue(() => server.refused === 1)
    assert.equal(server.lastRefusal, '1 connection open (maxConnections)')
    first.writer.close()
    yield* server.shutdown({ graceMs: 0 })
  }))

test('serveForever, cancelled, leaves open connections their grace', () =>
  online(function* () {
    const server = yield* startServer(function* (reader, writer) {
      yield* reader.readLine()
      yield* writer.send('done\n')
    }, anyPort)
    const serving = createTask(server.serveForever({ graceMs: 60_000 }))
    const { reader, writer } = yield* open(server)
    yield* untilTrue(() => server.connections.length === 1)
    const stopping = createTask(cancelAndWait(serving))
    yield* untilTrue(() => !server.isServing())
    yield* writer.send('go on\n')
    assert.equal(yield* reader.readTextLine(), 'done')
    yield* stopping
    writer.close()
    assert.throws(() => server.serveForever({ graceMs: -1 }), RangeError)
    assert.throws(() => server.shutdown(500 as never), MisuseError)
  }))
