/**
 * Keeps AsyncLocalStorage exactly per task, inherited by what a task starts.
 *
 * Node's own rule follows promises and callbacks; generators that a loop steps would see whatever store the event that
 * woke the loop had. So each task has an `AsyncResource`, made where the task was made, and every step runs in it.
 *
 * A resource holds the store itself up to Node 22: `enterWith` inside a step stays for the next. Where the engine keeps
 * the store elsewhere (AsyncContextFrame, Node 24 and later), a resource is a snapshot, so a new one is taken at the
 * end of each step. Which of the two holds is found out by trying. `AsyncLocalStorage.snapshot()` would do it
 * everywhere, at 1 to 18 microseconds a step.
 */
import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks'
import type { ContextBridge } from '../core/context.ts'
import type { Suspension, Body, Coroutine } from '../core/suspension.ts'
import type { Task } from '../core/task.ts'
import { coroutine, operationFrom } from '../core/coroutine.ts'

const MANUAL = { requireManualDestroy: true }

class ResourceBridge implements ContextBridge {
  open(): AsyncResource {
    return new AsyncResource('Cede', MANUAL)
  }

  step(task: Task, step: (task: Task) => void): void {
    ;(task.captured as AsyncResource).runInAsyncScope(step, undefined, task)
  }

  call(captured: AsyncResource, callback: () => unknown): unknown {
    return captured.runInAsyncScope(callback)
  }

  close(captured: AsyncResource): void {
    captured.emitDestroy()
  }
}

class SnapshotBridge extends ResourceBridge {
  override step(task: Task, step: (task: Task) => void): void {
    ;(task.captured as AsyncResource).runInAsyncScope(stepAndSave, undefined, task, step)
  }
}

function stepAndSave(task: Task, step: (task: Task) => void): void {
  step(task)
  if (task.captured === null) return
  ;(task.captured as AsyncResource).emitDestroy()
  task.captured = new AsyncResource('Cede', MANUAL)
}

let bridge: ContextBridge | null = null

/** The bridge for this thread. */
export function asyncLocalStorageBridge(): ContextBridge {
  bridge ??= resourcesKeepTheirStore() ? new ResourceBridge() : new SnapshotBridge()
  return bridge
}

function resourcesKeepTheirStore(): boolean {
  const storage = new AsyncLocalStorage<boolean>()
  const resource = new AsyncResource('CedeTrial', MANUAL)
  resource.runInAsyncScope(() => storage.enterWith(true))
  const kept = resource.runInAsyncScope(() => storage.getStore() === true)
  resource.emitDestroy()
  storage.disable()
  return kept
}

/**
 * Runs `body` with `value` as the store of an `AsyncLocalStorage`, as `storage.run` does for functions, and puts the
 * store back when the body has ended in any way.
 *
 * Runs in the caller's task; suspends only where the body does.
 *
 * @throws what the body throws
 */
export function withStore<S, T>(storage: AsyncLocalStorage<S>, value: S, body: Body<T>): Coroutine<T> {
  return inStore(storage, value, body) as Coroutine<T>
}

const inStore = coroutine(
  'withStore',
  function* (
    storage: AsyncLocalStorage<unknown>,
    value: unknown,
    body: Body<unknown>,
  ): Generator<Suspension, unknown> {
    const before = storage.getStore()
    storage.enterWith(value)
    try {
      return yield* operationFrom('withStore()', typeof body === 'function' ? body() : body)
    } finally {
      storage.enterWith(before)
    }
  },
)
