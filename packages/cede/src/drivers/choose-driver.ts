/** Which driver this thread runs on: epoll where it can be had, unless the environment says otherwise. */
import cluster from 'node:cluster'
import { MisuseError } from '../core/errors.ts'
import { EpollDriver } from './epoll.ts'
import { HostDriver } from './host.ts'
import { loadShim, type Shim } from './shim.ts'

export interface DriverChoice {
  readonly driver: HostDriver
  /** In words. */
  readonly why: string
}

/**
 * @param wanted what the environment says: `epoll`, `node`, or nothing
 * @param load gives the shim, or throws why there is none
 * @throws {MisuseError} if it says something else, or epoll cannot be had
 */
export function chooseDriver(
  wanted: string | undefined = process.env['CEDE_DRIVER'],
  load: () => Shim = loadShim,
): DriverChoice {
  if (wanted === 'node') return { driver: new HostDriver(), why: 'CEDE_DRIVER=node' }
  if (wanted !== undefined && wanted !== '' && wanted !== 'epoll')
    throw new MisuseError(`CEDE_DRIVER: \`epoll\` or \`node\` was expected, found \`${wanted}\``)
  // There Node's own sockets listen together at one port, through the primary; others would find it in use.
  if (wanted !== 'epoll' && cluster.isWorker)
    return { driver: new HostDriver(), why: 'a worker of node:cluster, where ports are shared' }
  try {
    const driver = new EpollDriver(load())
    return { driver, why: wanted === 'epoll' ? 'CEDE_DRIVER=epoll' : 'Linux on Node' }
  } catch (error) {
    // Only the first line: Node adds who has asked for the file.
    const [found = ''] = (error as Error).message.split('\n')
    if (wanted === 'epoll')
      throw new MisuseError(`CEDE_DRIVER=epoll: the epoll driver was expected to work, found: ${found}`)
    return { driver: new HostDriver(), why: `no epoll driver: ${found}` }
  }
}
