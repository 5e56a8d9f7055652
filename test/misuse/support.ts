// What the tests of misuse share: programs that the compiler would refuse, and what they must be told.
import assert from 'node:assert/strict'
import { MisuseError, run, type Operation, type Suspension } from 'cede'
import { SimDriver } from 'cede/lowlevel'

/** A value under a type it does not have, as in a program whose types are not checked. Unless told: fits anywhere. */
export function untyped<T = never>(value: unknown): NoInfer<T> {
  return value as NoInfer<T>
}

/** A generator function that yields what no coroutine may yield, as a coroutine. */
export type Slip = () => Generator<unknown, unknown>

export function slip(fn: Slip): () => Operation<unknown> {
  return untyped(fn)
}

/** Runs a coroutine with a slip in it on a virtual clock. */
export function runSlip(fn: Slip): Promise<unknown> {
  return run(slip(fn), { driver: new SimDriver() })
}

/** For `assert.rejects` and `assert.throws`: a TypeError of ours whose message has all these words. */
export function misuse(...words: readonly string[]): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof MisuseError, `expected a MisuseError, found ${String(error)}`)
    assert.ok(error instanceof TypeError)
    assert.equal(error.name, 'TypeError')
    assert.equal(error.code, 'CEDE_MISUSE')
    for (const word of words) {
      assert.ok(error.message.includes(word), `expected '${word}' in the message, found: ${error.message}`)
    }
    return true
  }
}

/** What `fn` throws. */
export function thrownBy(fn: () => unknown): unknown {
  try {
    fn()
  } catch (error) {
    return error
  }
  return assert.fail('expected an error, found none')
}

export type Op<T = unknown> = Generator<Suspension, T, unknown>
