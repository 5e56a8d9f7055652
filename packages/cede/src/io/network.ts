/** Which network the coroutines of a loop use: that of its driver. */
import type { Loop } from '../core/loop.ts'
import { MisuseError } from '../core/errors.ts'
import { NodeNetwork } from './node-net.ts'
import type { Network } from './transport.ts'

const networks = new WeakMap<Loop, Network>()

/** @throws {MisuseError} if the driver has none: real sockets would wait while a virtual clock runs on */
export function networkOf(act: string, loop: Loop): Network {
  let network = networks.get(loop)
  if (network === undefined) {
    const { name } = loop.driver
    if (name !== 'node')
      throw new MisuseError(`${act}: a driver with a network was expected, found \`${name}\``)
    network = new NodeNetwork(loop)
    networks.set(loop, network)
  }
  return network
}
