import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatAddress } from 'cede'

test('an address of each kind as text', () => {
  assert.equal(formatAddress({ host: '127.0.0.1', port: 80 }), '127.0.0.1:80')
  assert.equal(formatAddress({ host: '::1', port: 80 }), '[::1]:80')
  assert.equal(formatAddress({ host: '', port: 0, path: '/run/x.sock' }), 'unix:/run/x.sock')
  assert.equal(formatAddress({ host: '', port: 0, path: '\0x' }), 'unix:@x')
  assert.equal(formatAddress({ host: '', port: 0, path: '' }), 'unix:unnamed')
  assert.equal(formatAddress({ host: '', port: 0, memory: 'x' }), 'memory:x')
  assert.equal(formatAddress({ host: '', port: 0, memory: '' }), 'memory:unnamed')
})
