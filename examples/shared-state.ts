// Why no lock is needed between two waits, and what goes wrong when a wait is put in between.
//
// Coroutines share one thread, and give it up only where they wait: at a `yield*`. What stands between two waits is
// done as one, whatever others do. So most shared state needs no lock. But a wait in the middle of "look, then act"
// lets everybody else in, and what was looked at may be stale when it is acted upon.
//
// ci:
// ci-expect: ^no wait in between: 100 of 100 arrived$
// ci-expect: ^a wait in between: [1-9][0-9]? of 100 arrived$
// ci-expect: ^looked again: 100 of 100 arrived$
// ci-expect: ^seats sold with a wait in between: 5, for 3 seats$
// ci-expect: ^seats sold, taken first: 3, for 3 seats$
import { gather, run, sleep, type Operation } from 'cede'

class Counter {
  value = 0
}

/** A hundred coroutines that each do `one` to the same counter. */
function* hundredTimes(one: (counter: Counter) => Operation<void>) {
  const counter = new Counter()
  yield* gather(Array.from({ length: 100 }, () => one(counter)))
  return `${counter.value} of 100 arrived`
}

// ---------------------------------------------------------------------- no wait in between

// Read, add, write back: three steps. With threads, two of them could read the same number. Here there is no `yield*`
// among the three, so nobody runs between them. There is nothing to lock.

function* add(counter: Counter) {
  const before = counter.value
  counter.value = before + 1
}

// ---------------------------------------------------------------------- a wait in between

// The same three steps, and somebody put a harmless looking wait among them. All hundred read 0, or nearly so, then all
// of them write back what they had read, plus one. Nothing fails. The sum is just wrong.

function* addInterrupted(counter: Counter) {
  const before = counter.value
  yield* sleep(Math.random() * 5) // a query, a log line, "only a short wait"
  counter.value = before + 1
}

// ---------------------------------------------------------------------- look again

// The cure is seldom a lock. Wait first; then look and act in one go.

function* addAfterTheWait(counter: Counter) {
  yield* sleep(Math.random() * 5)
  counter.value += 1
}

// ---------------------------------------------------------------------- the same as a story

// Three seats, five customers, and a payment that takes a moment. `sell` looks, waits, and acts: all five saw a free
// seat. `sellOnce` takes the seat before it waits, and gives it back if the payment fails: then `taken` is true at
// every moment at which somebody else can look.

class Hall {
  readonly seats = 3
  taken = 0
}

function* pay() {
  yield* sleep(5)
}

function* sell(hall: Hall) {
  if (hall.taken >= hall.seats) return 'sold out'
  yield* pay() // everybody else looks now
  hall.taken += 1
  return 'sold'
}

function* sellOnce(hall: Hall) {
  if (hall.taken >= hall.seats) return 'sold out'
  hall.taken += 1 // no wait since the look: nobody can have come between
  let paid = false
  try {
    yield* pay()
    paid = true
  } finally {
    if (!paid) hall.taken -= 1 // runs if the payment fails, and if this coroutine is cancelled
  }
  return 'sold'
}

function* sales(seller: (hall: Hall) => Operation<string>) {
  const hall = new Hall()
  const answers = yield* gather(Array.from({ length: 5 }, () => seller(hall)))
  return `${answers.filter((answer) => answer === 'sold').length}, for ${hall.seats} seats`
}

// A lock is for the rest: when a stretch with waits in it must not be entered by two at a time, such as one question
// and its answer on a shared connection.

await run(function* () {
  console.log(`no wait in between: ${yield* hundredTimes(add)}`)
  console.log(`a wait in between: ${yield* hundredTimes(addInterrupted)}`)
  console.log(`looked again: ${yield* hundredTimes(addAfterTheWait)}`)
  console.log(`seats sold with a wait in between: ${yield* sales(sell)}`)
  console.log(`seats sold, taken first: ${yield* sales(sellOnce)}`)
})
