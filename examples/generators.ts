// From `yield` to `yield*` to a coroutine: the same small reader three times.
//
// A generator is a function that can stop in the middle and go on later. That is all a coroutine needs. This page walks
// there in three steps, each a program that runs: npx tsx examples/generators.ts
//
// ci:
// ci-expect: ^1\. by hand: hello, world$
// ci-expect: ^2\. composed: hello, world$
// ci-expect: ^3\. by Cede: hello, world$
// ci-expect: ^   meanwhile: the same chunks, for somebody else$
import { createTask, run, sleep, type Suspension } from 'cede'

// ---------------------------------------------------------------------- 1. yield

// `yield` stops the generator and hands a value out; what is given to the next `next()` is what `yield` returns.
//
// So a generator can ask: here it asks for one more chunk, in the middle of its loop, with its variables intact. It
// reads as if it could block. It does not know who answers, nor how long that takes.

function* readLineByHand(): Generator<'more, please', string, string> {
  let line = ''
  while (!line.includes('\n')) line += yield 'more, please'
  return line.trimEnd()
}

// Somebody has to run it: start it, look at what it yields, answer, until it is done. This is an event loop, if a poor
// one: it runs one generator, and it has all the answers already.

function drive<T>(generator: Generator<'more, please', T, string>, chunks: readonly string[]): T {
  let step = generator.next()
  for (const chunk of chunks) {
    if (step.done === true) break
    step = generator.next(chunk)
  }
  if (step.done !== true) throw new Error(`it says "${step.value}", and there is no more`)
  return step.value
}

const chunks = ['hel', 'lo, wo', 'rld\n']

console.log(`1. by hand: ${drive(readLineByHand(), chunks)}`)

// ---------------------------------------------------------------------- 2. yield*

// What if the reader wants to be cut in two, one function for chunks and one for lines? A plain call of a generator
// function runs nothing. It only makes the generator. `yield*` runs it to its end: whatever it yields goes out through
// us, the answers go in through us, and what it returns is what `yield*` returns.
//
// `yield*` is the call for functions that can stop. Python wrote `yield from`.

function* nextChunk(): Generator<'more, please', string, string> {
  const chunk = yield 'more, please'
  return chunk.replaceAll('\r', '')
}

function* readLineComposed(): Generator<'more, please', string, string> {
  let line = ''
  while (!line.includes('\n')) line += yield* nextChunk()
  return line.trimEnd()
}

// The runner is the same as before. It cannot even tell that there are two functions now.

console.log(`2. composed: ${drive(readLineComposed(), chunks)}`)

// ---------------------------------------------------------------------- 3. a coroutine

// Our runner can do one thing at a time, and it knows one request. Cede is the runner that is missing: it runs any
// number of generators side by side, and what they yield are waits: for time, for a socket, for each other.
//
// Only library functions write `yield`. Yours write `yield*`, in front of everything that may have to wait. Here
// `sleep` stands for the network; with a connection it would be `yield* reader.readLine()`.

class SlowSource {
  readonly #chunks = [...chunks];

  *nextChunk(): Generator<Suspension, string> {
    yield* sleep(5)
    return this.#chunks.shift() ?? '\n'
  }
}

function* readLine(source: SlowSource) {
  let line = ''
  while (!line.includes('\n')) line += yield* source.nextChunk()
  return line.trimEnd()
}

// The reader is the one from step 2, word for word. What changed is who runs it: while it waits, others go on.

function* meanwhile() {
  const line = yield* readLine(new SlowSource())
  return line.replace('hello, world', 'the same chunks, for somebody else')
}

await run(function* () {
  const other = createTask(meanwhile()) // begins, and runs beside us
  console.log(`3. by Cede: ${yield* readLine(new SlowSource())}`)
  console.log(`   meanwhile: ${yield* other}`)
})

// From here: examples/shared-state.ts shows what may happen while a coroutine waits, and what cannot happen while it
// does not; examples/echo-server.ts is a whole server made of nothing else.
