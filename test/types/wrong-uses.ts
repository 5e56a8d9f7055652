// What the compiler must refuse: every wrong use in the design's chapter "Types" that types can see. What only the
// linter sees is in lint-fixtures/, what only the run time sees in the tests of misuse.
import {
  Broadcast,
  Condition,
  Lock,
  PriorityQueue,
  Queue,
  Semaphore,
  type ConnectionHandler,
  type Coroutine,
  type Operation,
  type Suspension,
  type Task,
  channel,
  coroutine,
  createTask,
  gather,
  race,
  run,
  shield,
  sleep,
  startServer,
  taskGroup,
  timeout,
  until,
} from 'cede'
import { BufferedProtocol, FrameReceiver, LineReceiver, Protocol } from 'cede/lowlevel'

function* annotated(): Coroutine<number> {
  yield* sleep(1)
  return 1
}
function* inferred() {
  yield* sleep(1)
  return 1
}
declare const task: Task<number>

// ---- yield without the star, in a generator whose type is written down

export function* bareYield(): Coroutine<void> {
  // @ts-expect-error an operation is no suspension
  yield sleep(1)
  // @ts-expect-error
  yield annotated()
  // @ts-expect-error
  yield task
  // @ts-expect-error
  yield Promise.resolve()
  // @ts-expect-error
  yield 1
  // @ts-expect-error
  yield
}
export function* bareYieldAsGenerator(): Generator<Suspension, void, unknown> {
  // @ts-expect-error
  yield sleep(1)
}

// ---- yield without the star, in an inferred generator: refused where it is handed over

function* inferredBareYield() {
  yield sleep(1)
}
function* inferredBareNumber() {
  yield* sleep(1)
  yield 1
}
// @ts-expect-error
void run(inferredBareYield)
// @ts-expect-error
void run(inferredBareYield())
// @ts-expect-error
void run(inferredBareNumber)
// @ts-expect-error
void createTask(inferredBareYield())
// @ts-expect-error
export const wrappedBareYield = coroutine(inferredBareYield)
export function* handsOverBareYield(): Coroutine<void> {
  // @ts-expect-error
  yield* inferredBareYield()
  // @ts-expect-error
  yield* timeout(1, inferredBareYield())
  // @ts-expect-error
  yield* gather([inferredBareYield()])
}

// ---- await instead of yield*

export async function awaits(): Promise<void> {
  // @ts-expect-error TS1320
  await sleep(1)
  // @ts-expect-error
  await annotated()
  // @ts-expect-error cede/strict makes plain generators the same
  await inferred()
  // @ts-expect-error
  await gather([annotated()])
}
// @ts-expect-error TS1058: an operation in the return slot of an async function
export async function returnsOperation() {
  return sleep(1)
}
// @ts-expect-error
export const arrowReturnsOperation = async () => annotated()
// @ts-expect-error
export const arrowReturnsInferred = async () => inferred()
// @ts-expect-error
export const thenable: PromiseLike<number> = annotated()

// ---- things that are no operation

// @ts-expect-error
void run([1, 2, 3])
// @ts-expect-error
void run('text')
// @ts-expect-error
void run(1)
// @ts-expect-error
void run(Promise.resolve(1))
// @ts-expect-error
void run(async () => {})
// @ts-expect-error
void run(() => {})
// @ts-expect-error
void run(async function* () {})
// @ts-expect-error
void createTask([sleep(1)])
// @ts-expect-error
void createTask(async () => 1)
// @ts-expect-error arguments are not passed on
void run((n: number) => sleep(n))

export function* starOnOthers(): Coroutine<void> {
  // @ts-expect-error TS2488
  yield* Promise.resolve(1)
  // @ts-expect-error
  yield* fetch('http://localhost')
  // @ts-expect-error
  yield* [1, 2, 3]
  // @ts-expect-error
  yield* 'text'
  // @ts-expect-error a function is no operation, its result is
  yield* annotated
  // @ts-expect-error until takes the promise or a function of the signal
  yield* until(1)
  // @ts-expect-error
  yield* timeout(1, Promise.resolve())
  // @ts-expect-error
  yield* shield(async () => {})
  // @ts-expect-error
  yield* taskGroup(async () => {})
  // @ts-expect-error
  yield* gather([Promise.resolve(1)])
  // @ts-expect-error the operations go in an array
  yield* gather(annotated(), annotated())
  // @ts-expect-error
  yield* race([annotated])
}

// ---- results

export function* results(): Coroutine<void> {
  // @ts-expect-error
  const text: string = yield* annotated()
  // @ts-expect-error
  const [first, second]: [number, string] = yield* gather([annotated(), inferred()])
  // @ts-expect-error there is no third
  const third = (yield* gather([annotated(), inferred()]))[2]
  void [text, first, second, third]
}
// @ts-expect-error
export const narrower: Operation<1> = annotated()
export function* wrongResult(): Coroutine<string> {
  // @ts-expect-error the declared result
  return yield* annotated()
}

// ---- tasks: a real promise-like is no Coroutine, so parameters take Operation

// @ts-expect-error
export const taskAsCoroutine: Coroutine<number> = task
// @ts-expect-error
export const taskOfOther: Task<string> = task
// @ts-expect-error an operation is not yet a task
export const operationAsTask: Task<number> = annotated()

// ---- handlers: a forgotten star must not pass as `void`

// @ts-expect-error
export const voidHandler: ConnectionHandler = () => {}
// @ts-expect-error
export const asyncHandler: ConnectionHandler = async () => {}
// @ts-expect-error
export const startsAndForgets: ConnectionHandler = () => void createTask(annotated())
export function* serves(): Coroutine<void> {
  // @ts-expect-error
  yield* startServer(() => {}, { host: 'localhost', port: 0 })
  // @ts-expect-error
  yield* startServer(async () => {}, { host: 'localhost', port: 0 })
}

// ---- recursion needs its type written down (TS7023), and so does a page that names the next one (TS7022)

// @ts-expect-error
export function* recursive(n: number) {
  if (n > 0) yield* recursive(n - 1)
}
interface Page {
  readonly next: string | undefined
}
declare function fetchPage(cursor: string | undefined): Coroutine<Page>
export function* pages() {
  let cursor: string | undefined = ''
  while (cursor !== undefined) {
    // @ts-expect-error
    const page = yield* fetchPage(cursor)
    cursor = page.next
  }
}
export function* pagesAnnotated() {
  let cursor: string | undefined = ''
  while (cursor !== undefined) {
    const page: Page = yield* fetchPage(cursor)
    cursor = page.next
  }
}

// ---- suspensions are made by the library alone

// @ts-expect-error
export const forged: Suspension = {}
// @ts-expect-error
export const forgedWithProtocol: Suspension = { park() {}, unpark() {} }
const wrapped = coroutine(function* (n: number) {
  yield* sleep(n)
})
// @ts-expect-error wrapped functions keep their parameters
void wrapped('1')
// @ts-expect-error
void wrapped()

// ---- priorities

// @ts-expect-error items without an order need a comparison
void new PriorityQueue<{ urgency: number }>(1)
// @ts-expect-error though some of them have one
void new PriorityQueue<number | { urgency: number }>(1)

// ---- locks are no options, though they have names

declare const lock: Lock
declare const condition: Condition
// @ts-expect-error write `new Condition({ lock })`
void new Condition(lock)
// @ts-expect-error
void new Lock(condition)
// @ts-expect-error
void new Semaphore(1, lock)
// @ts-expect-error
void new Lock('name')
// @ts-expect-error
void new Queue(3, 'name')
// @ts-expect-error
void new Broadcast(3, new Queue(3))

// ---- null is the end of a channel

// @ts-expect-error
void channel<number | null>(1)
// @ts-expect-error
void channel<null>(1)

// ---- protocols: a generator or an async function in place of a callback would do nothing, or too late

export class WrongProtocol extends Protocol {
  // @ts-expect-error
  override *connectionMade() {
    yield* sleep(1)
  }
  // @ts-expect-error
  override async dataReceived(chunk: Buffer) {
    await Promise.resolve(chunk)
  }
  // @ts-expect-error
  override *eofReceived() {
    yield* sleep(1)
  }
  // @ts-expect-error
  override pauseWriting = () => sleep(1)
  // @ts-expect-error
  override async resumeWriting() {}
  // @ts-expect-error
  override connectionLost() {
    return createTask(sleep(1))
  }
}
export class WrongLines extends LineReceiver {
  // @ts-expect-error
  override *lineReceived(line: string) {
    this.send(line)
    yield* sleep(1)
  }
  // @ts-expect-error
  override async rawDataReceived() {}
  // @ts-expect-error
  override *lineLimitExceeded() {}
}
export abstract class WrongFrames extends FrameReceiver<Buffer> {
  // @ts-expect-error
  override async frameReceived() {}
  // @ts-expect-error
  override *framingFailed() {}
  // @ts-expect-error
  override *framesEnded() {}
}
export abstract class WrongBuffered extends BufferedProtocol {
  // @ts-expect-error
  override *bufferUpdated() {}
}
