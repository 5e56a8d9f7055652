import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connectSettings, listenSettings } from './socket-settings.ts'

test('what nobody says is as the docs say', () => {
  assert.deepEqual(connectSettings({}), {
    noDelay: true,
    keepAliveMs: null,
    localHost: undefined,
    localPort: undefined,
  })
  assert.equal(listenSettings({}).backlog, 511)
})

test('keepAlive becomes whole seconds that a system takes: others would leave its own two hours in force', () => {
  const made = ([true, false, 0.5, 1_000, 1_500, 10 ** 9, Infinity] as const).map(
    (keepAlive) => connectSettings({ keepAlive }).keepAliveMs,
  )
  assert.deepEqual(made, [60_000, null, 1_000, 1_000, 2_000, 32_767_000, 32_767_000])
})

test('a backlog without a limit is a large one: cut off to 32 bits it would be none', () => {
  assert.equal(listenSettings({ backlog: 7 }).backlog, 7)
  for (const backlog of [2 ** 32, Infinity]) assert.equal(listenSettings({ backlog }).backlog, 65_535)
})
