// Run by frozen-intrinsics.test.ts with `node --frozen-intrinsics`; prints what happens, one line each.
import {
  cancelAndWait,
  coroutine,
  createTask,
  run,
  sleep,
  sleepForever,
  timeout,
  TimeoutError,
  type Operation,
  type Suspension,
} from 'cede'
import { SimDriver } from 'cede/lowlevel'

function* level(name: string, inner: Operation<unknown>): Generator<Suspension, void> {
  try {
    yield* inner
    console.log(`${name} went on`)
    yield* sleep(1)
    console.log(`${name} waited`)
  } catch {
    console.log(`${name} caught`)
  } finally {
    console.log(`${name} cleans up`)
    yield* sleep(1)
    console.log(`${name} cleaned up`)
  }
}
const wrapped = coroutine(level)

const programs: Record<string, () => Operation<unknown>> = {
  /** Each level is a frame of its own, so nothing has to be split. */
  wrapped: () => wrapped('level 1', wrapped('level 2', wrapped('level 3', sleepForever()))),
  single: () => level('level 1', sleepForever()),
  plain: () => level('level 1', level('level 2', sleepForever())),
}

function* main(): Generator<Suspension, void> {
  const program = programs[process.argv[2] ?? '']!
  const task = createTask(program())
  yield* sleep(1)
  console.log((yield* cancelAndWait(task)).status)
  try {
    yield* timeout(5, program())
  } catch (error) {
    console.log(error instanceof TimeoutError ? error.code : error)
  }
}

console.log(Object.isFrozen(Object.prototype) ? 'frozen' : 'not frozen')
await run(main, { driver: new SimDriver() })
