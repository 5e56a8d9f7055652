/**
 * Bun and Deno run programs on the node driver and never load the shim, whose calls of libuv would abort the process
 * there. `npm run test:runtimes` runs this file on both; on Node it only shows that it would notice.
 */
import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { currentDriver, openConnection, run, startServer } from 'cede'
import { chooseDriver } from '../../packages/cede/src/drivers/choose-driver.ts'
import { loadShim } from '../../packages/cede/src/drivers/shim.ts'

const { versions } = process
const isNode = versions['bun'] === undefined && versions['deno'] === undefined
const maps = '/proc/self/maps'

function shimIsLoaded(): boolean {
  return readFileSync(maps, 'utf8').includes('cede.node')
}

async function serve(): Promise<void> {
  await run(function* () {
    const server = yield* startServer(
      function* (reader, writer) {
        yield* writer.send((yield* reader.readLine())!)
      },
      { host: '127.0.0.1', port: 0 },
    )
    const { reader, writer } = yield* openConnection({ host: '127.0.0.1', port: server.port })
    yield* writer.send('hello\n')
    assert.equal(yield* reader.readTextLine(), 'hello')
    writer.close()
    yield* server.shutdown()
  })
}

test('the driver of this runtime serves, and the shim is loaded for the epoll driver alone', async () => {
  await serve()
  const { name, why } = currentDriver()
  if (!isNode)
    assert.deepEqual([name, why], ['node', 'no epoll driver: expected Node itself, found another runtime'])
  if (existsSync(maps)) assert.equal(shimIsLoaded(), name === 'epoll')
})

test('another runtime is refused before anything is loaded, whoever asks', { skip: isNode }, () => {
  assert.throws(() => loadShim(), { message: 'expected Node itself, found another runtime' })
  assert.throws(() => chooseDriver('epoll'), {
    code: 'CEDE_MISUSE',
    message:
      'CEDE_DRIVER=epoll: the epoll driver was expected to work, found: expected Node itself, found another runtime',
  })
  if (existsSync(maps)) assert.equal(shimIsLoaded(), false)
})
