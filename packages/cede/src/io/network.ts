/** Which network the coroutines of a loop use: that of its driver. */
import type { Loop } from '../core/loop.ts'
import { MisuseError } from '../core/errors.ts'
import { EpollDriver } from '../drivers/epoll.ts'
import { EpollNetwork } from './epoll-net.ts'
import { MemoryNetwork } from './memory-net.ts'
import { NodeNetwork } from './node-net.ts'
import type { Network, Place } from './transport.ts'

const networks = new WeakMap<Loop, Network>()
const memories = new WeakMap<Loop, MemoryNetwork>()

/** @throws {MisuseError} if the driver has none */
export function networkOf(act: string, loop: Loop, place: Place): Network {
  if ('memory' in place) return memoryOf(loop)
  let network = networks.get(loop)
  if (network === undefined) {
    network = newNetwork(act, loop)
    networks.set(loop, network)
  }
  return network
}

/** Names of memory sockets are known within one loop. */
export function memoryOf(loop: Loop): MemoryNetwork {
  let memory = memories.get(loop)
  if (memory === undefined) {
    memory = new MemoryNetwork(loop)
    memories.set(loop, memory)
  }
  return memory
}

function newNetwork(act: string, loop: Loop): Network {
  const { driver } = loop
  const { name } = driver
  if (driver instanceof EpollDriver) return new EpollNetwork(loop, driver)
  if (name === 'node') return new NodeNetwork()
  // Real sockets would wait while a virtual clock runs on.
  if (name === 'sim') return memoryOf(loop)
  throw new MisuseError(`${act}: a driver with a network was expected, found \`${name}\``)
}
