/** The instrument: watches the scheduler from inside the loop and holds it to its rules, whatever the program does. */
import { DeadlockError, RefusedToEndError, type Task } from 'cede'
import type { Instrument, Wait } from 'cede/lowlevel'
import { standing } from './place.ts'
import type { TaskModel, World } from './world.ts'

export function watchScheduler(world: World): Instrument {
  /** Ready tasks, in the order in which they became so; kept only if passes are not shuffled. */
  const fifo: TaskModel[] = []
  const ordered = world.program.shuffleSeed === null
  let nested = 0

  function becomesReady(model: TaskModel, pass: number): void {
    if (model.ready) world.violate(`task ${model.id} was made ready twice`)
    if (model.done) world.violate(`task ${model.id} was made ready after its end`)
    model.ready = true
    model.duePass = pass
    if (ordered) fifo.push(model)
  }

  function endsWait(model: TaskModel, wait: Wait, how: string): void {
    if (model.parkedOn === null) world.violate(`task ${model.id} was ${how} without being parked`)
    else if (model.parkedOn !== wait)
      world.violate(`task ${model.id} was ${how} from another wait than it was parked on`)
    model.parkedOn = null
  }

  return {
    taskCreated(task: Task): void {
      const model = world.addTask(task)
      world.note(`create ${model.id}`)
      if (!world.creatingEager) becomesReady(model, world.loop.passes + 1)
      world.creatingEager = false
    },

    stepBegins(task: Task): void {
      const model = world.modelOf(task)
      world.note(`step ${model.id}`)
      if (model.parkedOn !== null) world.violate(`task ${model.id} is stepped while it is parked`)
      if (model.done) world.violate(`task ${model.id} is stepped after its end`)
      if (nested++ > 0) return
      if (!model.ready) world.violate(`task ${model.id} is stepped without being ready`)
      model.ready = false
      const { passes } = world.loop
      if (passes !== model.duePass) {
        world.violate(`task ${model.id} is stepped in pass ${passes}, and its turn is pass ${model.duePass}`)
      }
      if (ordered && fifo.shift() !== model) world.violate(`task ${model.id} is stepped out of turn`)
    },

    stepEnds(task: Task): void {
      nested--
      const model = world.modelOf(task)
      if (!model.done && model.parkedOn === null && !model.ready) {
        world.violate(`task ${model.id} neither waits nor has ended after its step`)
      }
    },

    parked(task: Task, wait: Wait): void {
      const model = world.modelOf(task)
      world.note(`park ${model.id}`)
      if (model.parkedOn !== null) world.violate(`task ${model.id} parks twice`)
      model.parkedOn = wait
      const { leaf } = model
      if (leaf === null) {
        const composite = model.composites.at(-1)
        const unwinds = composite !== undefined && standing(composite.place) === 'cancelled'
        if (unwinds) model.unwindingSinceMs ??= world.clock.peek()
        return
      }
      leaf.parked = true
      leaf.givesWay = wait.describe().what === 'its turn'
      if (standing(leaf.place) === 'cancelled')
        world.violate(`task ${model.id} parks (${leaf.what}) in a cancelled scope`)
      if (leaf.queue !== null) world.queues[leaf.queue]!.waiters.push(model)
      if (leaf.sleepMs !== null) {
        leaf.dueMs = world.clock.peek() + Math.max(0, leaf.sleepMs)
        leaf.armed = world.armed()
      }
    },

    resumed(task: Task, wait: Wait): void {
      const model = world.modelOf(task)
      world.note(`resume ${model.id}`)
      endsWait(model, wait, 'resumed')
      const { leaf } = model
      // A sleep that is due becomes ready while the pass is put together, and belongs to it.
      const timer = leaf !== null && leaf.sleepMs !== null && leaf.sleepMs > 0
      becomesReady(model, world.loop.passes + (timer ? 0 : 1))
      if (leaf === null) return
      leaf.resumed = true
      if (leaf.queue !== null) world.wokenInQueue(model, leaf)
      if (leaf.sleepMs !== null) world.sleepEnds(leaf)
    },

    unparked(task: Task, wait: Wait): void {
      const model = world.modelOf(task)
      world.note(`unpark ${model.id}`)
      endsWait(model, wait, 'unparked')
      model.unwindingSinceMs ??= world.clock.peek()
      becomesReady(model, world.loop.passes + 1)
      const { leaf } = model
      if (leaf === null) return
      leaf.unparked = true
      if (leaf.queue !== null) world.leavesQueue(model)
      if (standing(leaf.place) === 'free')
        world.violate(`task ${model.id} was unparked (${leaf.what}), and nothing around it is cancelled`)
    },

    taskDone(task: Task): void {
      const model = world.modelOf(task)
      world.note(`done ${model.id} ${task.status}`)
      if (model.done) world.violate(`task ${model.id} ended twice`)
      model.done = true
      model.owner?.ended.push(model)
      checkOutcome(world, model)
    },

    turnEnds(): void {
      for (const model of world.tasks) if (!model.done) checkWaiting(world, model)
    },
  }
}

function checkWaiting(world: World, model: TaskModel): void {
  if (model.parkedOn === null) return
  world.checkLeft(model)
  const { leaf } = model
  if (leaf !== null) {
    world.checkDeadlines(leaf.place)
    if (leaf.future !== null && leaf.future.outcome !== null)
      world.violate(`task ${model.id} still waits for a settled future`)
    if (leaf.sleepMs !== null && world.exact && world.clock.peek() > leaf.dueMs)
      world.violate(`task ${model.id} sleeps for too long`)
    if (leaf.awaited?.done === true) world.violate(`task ${model.id} still waits for a task that has ended`)
    return
  }
  const composite = model.composites.at(-1)
  if (composite !== undefined && composite.children.every((child) => child.done)) {
    world.violate(`task ${model.id} still waits for a ${composite.what} whose tasks have all ended`)
  }
}

/** How a task ended must be how its body ended. */
function checkOutcome(world: World, model: TaskModel): void {
  const { task, how } = model
  if (model.bare && model.leaf !== null) {
    model.leaf.ended = true
    if (task.status === 'done' && (!model.leaf.resumed || task.cancelled)) {
      world.violate(
        `task ${model.id}, a sleep, is done though it ${task.cancelled ? 'was cancelled' : 'never ended'}`,
      )
    }
  }
  if (task.status === 'done') {
    if (how !== 'returned' || task.outcome !== model.value)
      world.violate(`task ${model.id} is done, and its body ${how}`)
  } else if (task.status === 'failed') {
    if (isGivenUp(task.outcome)) {
      // Never stepped again: what it waits for is taken back without a word, and its cleanup does not run.
      model.parkedOn = null
      model.leaf = null
      world.leavesQueue(model)
      return
    }
    const first = model.pending[0]
    if (
      how === 'unwound' &&
      first !== undefined &&
      task.outcome !== first.error &&
      !isLibraryError(task.outcome) &&
      !model.graceSpent
    ) {
      world.violate(
        `task ${model.id} failed with another error than its cleanup threw first: ${String(task.outcome)}`,
      )
    }
    const own = how === 'threw' && task.outcome === model.error
    if (!own && !model.held.has(task.outcome) && !isLibraryError(task.outcome)) {
      world.violate(
        `task ${model.id} failed with something else than its body (${how}) threw: ${String(task.outcome)}`,
      )
    }
  } else {
    if (!task.cancelled) world.violate(`task ${model.id} ended as cancelled, and nobody cancelled it`)
    if (model.pending.length > 0 && !model.graceSpent)
      world.violate(`task ${model.id} ended as cancelled, and its cleanup threw`)
    if (how !== 'unwound' && how !== 'unstarted' && !model.bare)
      world.violate(`task ${model.id} ended as cancelled, and its body ${how}`)
  }
  if (model.entries.length > 0)
    world.violate(`task ${model.id} ended with ${model.entries.length} finally blocks that never ran`)
}

/** Thrown by cleanup of the library itself while a task unwinds: a group whose children failed. */
function isLibraryError(error: unknown): boolean {
  return error instanceof AggregateError
}

/** After fifty forced returns, or in a deadlock that no cancel can end. */
function isGivenUp(error: unknown): boolean {
  return error instanceof RefusedToEndError || error instanceof DeadlockError
}
