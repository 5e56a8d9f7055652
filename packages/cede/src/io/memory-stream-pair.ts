/** Two connected streams inside one program. */
import { Loop } from '../core/loop.ts'
import type { Runner } from '../core/runner.ts'
import { memoryOf } from './network.ts'
import type { Connection } from './open-connection.ts'
import { checkStreamOptions, StreamProtocol, type StreamOptions } from './stream-protocol.ts'
import type { NewConnection } from './transport.ts'

const ACT = 'memoryStreamPair()'

/**
 * Makes two streams that are connected with each other: what is written to one is read from the other. They behave as
 * the two ends of a TCP connection do, with half closes, resets and writers that have to wait, and need no address. For
 * tests, and for parts of a program that talk to each other. Does not suspend. Both belong to the run and are closed at
 * its end at the latest.
 *
 * On the sim driver they meet the delays and faults of its network.
 *
 * @param options the sizes of the buffers, for both; default: as for `openConnection`
 * @throws {ClosedError} if it is called outside of a run
 * @throws {RangeError} if a size is wrong
 *
 * @example
 * import { createTask, memoryStreamPair, run, type Connection } from 'cede'
 *
 * function* answer({ reader, writer }: Connection) {
 *   const line = yield* reader.readLine()
 *   yield* writer.send(`you said ${line?.toString() ?? 'nothing'}`)
 *   writer.close()
 * }
 * await run(function* () {
 *   const [ours, theirs] = memoryStreamPair()
 *   createTask(answer(theirs))
 *   yield* ours.writer.send('hello\n')
 *   console.log((yield* ours.reader.read())?.toString())
 *   ours.writer.close()
 * })
 */
export function memoryStreamPair(options: StreamOptions = {}): [Connection, Connection] {
  checkStreamOptions(ACT, options)
  const runner = Loop.currentRunner(ACT)
  const [one, other] = memoryOf(runner.loop).pair()
  return [taken(one, options, runner), taken(other, options, runner)]
}

function taken(connection: NewConnection, options: StreamOptions, runner: Runner): Connection {
  const protocol = new StreamProtocol(options, runner)
  protocol.onLost = runner.own(() => protocol.close())
  connection.take(protocol, runner)
  const { reader, writer } = protocol
  return { reader, writer }
}
