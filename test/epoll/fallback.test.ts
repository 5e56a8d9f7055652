/** Where the shim cannot be had, whole processes run on the node driver, and say why; who insists on epoll is told. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { chooseDriver } from '../../packages/cede/src/drivers/choose-driver.ts'
import { runChild, type Ended } from '../support/child.ts'

const PROGRAMS = fileURLToPath(new URL('epoll-programs.ts', import.meta.url))

const chosen = chooseDriver('')
const skip = chosen.driver.name === 'epoll' ? false : chosen.why

const options = { skip, timeout: 120_000 }

function program(nodeArgs: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  return runChild(PROGRAMS, ['which driver'], { nodeArgs, env: { CEDE_DRIVER: '', ...env } })
}

/** Runs before the program does. */
function first(code: string): readonly string[] {
  return ['--import', `data:text/javascript,${encodeURIComponent(code)}`]
}

/** Does `code` with the shim, `shim`, whenever it was loaded. */
function withShim(code: string): readonly string[] {
  return first(`
    const { dlopen } = process
    process.dlopen = (module, path, ...rest) => {
      dlopen(module, path, ...rest)
      const shim = module.exports
      ${code}
    }`)
}

const nothingHere = /Cannot find module '\.\.\/\.\.\/prebuilds\/linux-none\/cede\.node'/

const faults: readonly (readonly [title: string, nodeArgs: readonly string[], why: RegExp])[] = [
  [
    'no shim was built for this machine',
    first("Object.defineProperty(process, 'arch', { value: 'none' })"),
    nothingHere,
  ],
  [
    'nothing may be loaded into this process',
    ['--no-addons'],
    /Cannot load native addon because loading addons is disabled\./,
  ],
  [
    'the file is of something else',
    first(`process.dlopen = () => { throw new Error('cede.node: invalid ELF header') }`),
    /cede\.node: invalid ELF header/,
  ],
  [
    'a sandbox refuses epoll: EPERM',
    withShim('module.exports = { ...shim, openPoller: () => -1 }'),
    /epoll_create1 EPERM/,
  ],
  [
    'the kernel has no epoll: ENOSYS',
    withShim('module.exports = { ...shim, openPoller: () => -38 }'),
    /epoll_create1 ENOSYS/,
  ],
]

for (const [title, nodeArgs, found] of faults) {
  test(`${title}: the node driver serves, and says why`, options, async () => {
    const { code, stdout, stderr } = await program(nodeArgs)
    const [driver, served] = stdout.split('\n')
    assert.match(driver!, new RegExp(`^node: no epoll driver: ${found.source}$`))
    assert.deepEqual([code, served, stderr], [0, 'served', ''])
  })

  test(`${title}: with CEDE_DRIVER=epoll it is an error`, options, async () => {
    const { code, stdout, stderr } = await program(nodeArgs, { CEDE_DRIVER: 'epoll' })
    assert.match(
      stderr,
      new RegExp(
        `MisuseError.*: CEDE_DRIVER=epoll: the epoll driver was expected to work, found: ${found.source}`,
      ),
    )
    assert.deepEqual([code, stdout], [1, ''])
  })
}

test('debug mode prints one line that names the driver, and why it is this one', options, async () => {
  for (const [nodeArgs, line] of [
    [[], /^cede: debug mode; the driver is epoll \(Linux on Node\)$/],
    [
      ['--no-addons'],
      /^cede: debug mode; the driver is node \(no epoll driver: Cannot load native addon .*\)$/,
    ],
  ] as const) {
    const { code, stdout, stderr } = await program(nodeArgs, { CEDE_DEBUG: '1' })
    // On a busy machine a slow step may be told as well.
    const told = stderr.split('\n').filter((one) => one.includes('driver is'))
    assert.equal(told.length, 1, stderr)
    assert.match(told[0]!, line)
    assert.match(stdout, /served\n$/)
    assert.equal(code, 0)
  }
})

test('CEDE_DRIVER=node: the shim is not even loaded', options, async () => {
  const { code, stdout, stderr } = await program(
    first(`process.dlopen = () => { throw new Error('was loaded') }`),
    { CEDE_DRIVER: 'node' },
  )
  assert.deepEqual([code, stdout, stderr], [0, 'node: CEDE_DRIVER=node\nserved\n', ''])
})
