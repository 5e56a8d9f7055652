/** Programs on an epoll driver of their own, whose shim may have some calls replaced. */
import assert from 'node:assert/strict'
import { run, type ExceptionContext, type StreamReader, type StreamWriter, type Suspension } from 'cede'
import { EpollDriver } from '../../packages/cede/src/drivers/epoll.ts'
import type { Shim } from '../../packages/cede/src/drivers/shim.ts'
import { shim } from '../support/shim.ts'

export const HOST = '127.0.0.1'

export interface OwnDriverOptions {
  /** What is done in place of some calls of the shim. */
  readonly calls?: Partial<Shim> | undefined
  /** Gets what the exception handler is told. Default: any report fails the test. */
  readonly reports?: ExceptionContext[] | undefined
}

/** Runs `main`; afterwards no descriptor may be open or watched. */
export async function onOwnDriver(
  main: (driver: EpollDriver) => Generator<Suspension, void>,
  { calls = {}, reports }: OwnDriverOptions = {},
): Promise<void> {
  const before = shim.openDescriptors()
  const told: ExceptionContext[] = reports ?? []
  const driver = new EpollDriver({ ...shim, ...calls })
  try {
    await run(() => main(driver), { driver, exceptionHandler: (context) => void told.push(context) })
    assert.equal(driver.watched, 0)
  } finally {
    driver.close()
  }
  assert.equal(shim.openDescriptors(), before)
  if (reports === undefined) assert.deepEqual(told, [])
}

/** Serves lines: each goes back as it came. */
export function* echo(reader: StreamReader, writer: StreamWriter): Generator<Suspension, void> {
  for (let line = yield* reader.readLine(); line !== null; line = yield* reader.readLine()) {
    yield* writer.send(line)
  }
}
