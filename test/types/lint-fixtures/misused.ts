// An operation where a plain value is expected: nobody runs what the callback makes.
import { coroutine, run, sleep, type Coroutine } from 'cede'
import { EventEmitter } from 'node:events'

function* inferred() {
  yield* sleep(1)
}
function* annotated(): Coroutine<void> {
  yield* sleep(1)
}
const wrapped = coroutine(inferred)

const numbers = [1, 2, 3]
numbers.forEach((n) => sleep(n)) // flagged: @typescript-eslint/no-misused-promises
numbers.forEach(() => annotated()) // flagged: @typescript-eslint/no-misused-promises
numbers.forEach(() => inferred()) // flagged: @typescript-eslint/no-misused-promises
numbers.forEach(annotated) // flagged: @typescript-eslint/no-misused-promises
numbers.forEach(inferred) // flagged: @typescript-eslint/no-misused-promises
numbers.forEach(wrapped) // flagged: @typescript-eslint/no-misused-promises
setTimeout(annotated, 1) // flagged: @typescript-eslint/no-misused-promises
setTimeout(inferred, 1) // flagged: @typescript-eslint/no-misused-promises
new EventEmitter().on('data', () => annotated()) // flagged: @typescript-eslint/no-misused-promises
new EventEmitter().on('data', inferred) // flagged: @typescript-eslint/no-misused-promises
if (annotated()) console.log('an operation is always true') // flagged: @typescript-eslint/no-misused-promises

numbers.forEach((n) => void run(() => sleep(n)))
setTimeout(() => {
  void run(inferred)
}, 1)
