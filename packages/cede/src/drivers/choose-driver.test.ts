import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MisuseError } from '../core/errors.ts'
import { chooseDriver } from './choose-driver.ts'
import { EpollDriver } from './epoll.ts'
import type { Shim } from './shim.ts'

function chosen(wanted: string | undefined, load: () => Shim): string {
  const { driver, why } = chooseDriver(wanted, load)
  assert.equal(driver instanceof EpollDriver, driver.name === 'epoll')
  if (driver instanceof EpollDriver) driver.close()
  return `${driver.name}: ${why}`
}

/** What the driver needs to begin. */
function shim(openPoller: () => number): Shim {
  const calls: Partial<Shim> = { openPoller, closePoller: () => 0, referPoller: () => 0 }
  return calls as Shim
}

const works = (): Shim => shim(() => 3)
const refused = (): Shim => shim(() => -1)
const missing = (): never => {
  throw new Error("Cannot find module '../cede.node'\nRequire stack:\n- somebody")
}
const unused = (): never => {
  throw new Error('was asked for')
}

test('epoll where it works; why not, where it does not', () => {
  assert.equal(chosen('', works), 'epoll: Linux on Node')
  assert.equal(chosen('', missing), "node: no epoll driver: Cannot find module '../cede.node'")
  assert.equal(chosen('', refused), 'node: no epoll driver: epoll_create1 EPERM')
})

test('CEDE_DRIVER chooses; who asks for epoll and cannot have it is told', () => {
  assert.equal(chosen('node', unused), 'node: CEDE_DRIVER=node')
  assert.equal(chosen('epoll', works), 'epoll: CEDE_DRIVER=epoll')
  assert.throws(() => chooseDriver('epoll', refused), {
    code: 'CEDE_MISUSE',
    message: 'CEDE_DRIVER=epoll: the epoll driver was expected to work, found: epoll_create1 EPERM',
  })
  assert.throws(() => chooseDriver('Epoll', unused), {
    message: 'CEDE_DRIVER: `epoll` or `node` was expected, found `Epoll`',
  })
  assert.throws(() => chooseDriver('x', unused), MisuseError)
})

test('without the environment it is the same as with nothing in it', () => {
  const before = process.env['CEDE_DRIVER']
  delete process.env['CEDE_DRIVER']
  try {
    assert.equal(chosen(undefined, works), 'epoll: Linux on Node')
  } finally {
    if (before !== undefined) process.env['CEDE_DRIVER'] = before
  }
})
