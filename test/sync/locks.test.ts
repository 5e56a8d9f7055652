// Every kind of lock keeps the contract.
import { BoundedSemaphore, CapacityLimiter, Condition, Lock, Semaphore } from 'cede'
import { lockContract } from './lock-contract.ts'

lockContract<Lock>({
  name: 'Lock',
  make: () => new Lock(),
  waiting: (lock) => lock.statistics().tasksWaiting,
  knowsHolder: true,
  bounded: true,
})

lockContract<Condition>({
  name: 'Condition',
  make: () => new Condition(),
  waiting: (condition) => condition.statistics().lock.tasksWaiting,
  knowsHolder: true,
  bounded: true,
})

lockContract<Semaphore>({
  name: 'Semaphore(1)',
  make: () => new Semaphore(),
  waiting: (semaphore) => semaphore.statistics().tasksWaiting,
  knowsHolder: false,
  bounded: false,
})

lockContract<BoundedSemaphore>({
  name: 'BoundedSemaphore(1)',
  make: () => new BoundedSemaphore(),
  waiting: (semaphore) => semaphore.statistics().tasksWaiting,
  knowsHolder: false,
  bounded: true,
})

lockContract<CapacityLimiter>({
  name: 'CapacityLimiter(1)',
  make: () => new CapacityLimiter(1),
  waiting: (limiter) => limiter.statistics().tasksWaiting,
  knowsHolder: true,
  bounded: true,
})
