// Generators that have nothing to do with Cede, and methods: cede/strict leaves the first alone, and a method
// handed over without its object is caught by the stock rule.
import { run, sleep, timeout, type Coroutine } from 'cede'

function* numbers(): Generator<number, void, undefined> {
  yield 1
}
function* inferredNumbers() {
  yield 1
}
numbers()
inferredNumbers()
;[1].forEach(() => numbers())

class Client {
  private name = '';
  *greet(): Coroutine<string> {
    yield* sleep(1)
    return this.name
  }
}
const client = new Client()
void run(client.greet) // flagged: @typescript-eslint/unbound-method
void run(() => client.greet())
export function* calls(): Coroutine<void> {
  yield* timeout(1, client.greet) // flagged: @typescript-eslint/unbound-method
  yield* timeout(1, () => client.greet())
}
