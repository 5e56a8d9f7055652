import assert from 'node:assert/strict'
import { test } from 'node:test'
import { limitConnections, MisuseError, type SocketAddress } from 'cede'
import { peerOf } from './limit-connections.ts'

const from = (host: string, port = 1): SocketAddress => ({ host, port })

test('in total and for each peer so many are admitted; what is released makes room', () => {
  const limit = limitConnections({ total: 3, perPeer: 2, answer: 'busy\n' })
  assert.equal(limit.admit(from('10.0.0.1', 1)), null)
  assert.equal(limit.admit(from('10.0.0.1', 2)), null)
  const third = limit.admit(from('10.0.0.1', 3))
  assert.equal(third?.reason, '2 connections are open from 10.0.0.1')
  assert.equal(Buffer.from(third.answer!).toString(), 'busy\n')
  assert.equal(limit.admit(from('10.0.0.2')), null)
  assert.equal(limit.admit(from('10.0.0.3'))?.reason, '3 connections are open')
  assert.deepEqual([limit.open, limit.refused], [3, 2])
  limit.release(from('10.0.0.1'))
  assert.equal(limit.openOf(from('10.0.0.1')), 1)
  assert.equal(limit.admit(from('10.0.0.1', 4)), null)
  for (const host of ['10.0.0.1', '10.0.0.1', '10.0.0.2']) limit.release(from(host))
  assert.equal(limit.open, 0)
})

test('peers of Unix and memory sockets are one', () => {
  const limit = limitConnections({ perPeer: 2 })
  assert.equal(limit.admit({ host: '', port: 0, path: '' }), null)
  assert.equal(limit.admit({ host: '', port: 0, memory: '' }), null)
  assert.equal(limit.admit({ host: '', port: 0, path: '' })?.reason, '2 connections are open from local')
  assert.equal(limit.admit({ host: '', port: 0 })?.answer, undefined)
})

test('an IPv6 peer is its network of 64 bits, however it is written', () => {
  const same: [string, string][] = [
    ['2001:db8:0:1::1', '2001:db8:0:1:ffff:2:3:4'],
    ['2001:db8::5', '2001:0db8:0000:0000:1::'],
    ['::1', '::2:3'],
    ['2001:db8:a:b:c:d:1.2.3.4', '2001:db8:a:b::9'],
    ['fe80::1%eth0', 'fe80::2%eth0'],
    ['1::2:3:4:5:6:7', '1:0:2:3::'],
  ]
  for (const [a, b] of same) assert.equal(peerOf(from(a)), peerOf(from(b)), `${a} and ${b}`)
  const different: [string, string][] = [
    ['2001:db8:0:1::1', '2001:db8:0:2::1'],
    ['fe80::1%eth0', 'fe80::1%eth1'],
    ['10.0.0.1', '10.0.0.2'],
    ['::1', '10.0.0.1'],
  ]
  for (const [a, b] of different) assert.notEqual(peerOf(from(a)), peerOf(from(b)), `${a} and ${b}`)
  assert.equal(peerOf(from('2001:0db8:0:01::1')), '2001:db8:0:1::/64')
  assert.equal(peerOf(from('fe80::1%eth0')), 'fe80:0:0:0::/64%eth0')
})

test('bad options are told at the call', () => {
  assert.throws(() => limitConnections({}), MisuseError)
  assert.throws(() => limitConnections(5 as never), MisuseError)
  assert.throws(() => limitConnections({ total: 0 }), RangeError)
  assert.throws(() => limitConnections({ perPeer: 1.5 }), RangeError)
  assert.throws(() => limitConnections({ total: 1, answer: 5 as never }), MisuseError)
})
