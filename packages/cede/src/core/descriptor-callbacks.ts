/**
 * Callbacks for descriptors of the program (`addReader`, `addWriter`): the driver tells that one can be read or written,
 * and its callback has a pass of the loop. Whoever registered it need not remove it: the end of its run does.
 */
import { checkedCallback } from './checked-callback.ts'
import type { Descriptors, Direction } from './driver.ts'
import { MisuseError } from './errors.ts'
import type { Loop } from './loop.ts'
import { running } from './running.ts'
import { Handle, type Callback } from './timer-handle.ts'

interface Told {
  /** The callback that is to run. */
  handle: Handle | null
  /** The run need not remove it any more. */
  disown: () => void
}

export class DescriptorCallbacks {
  readonly #loop: Loop
  readonly #whyDriver: string | undefined
  readonly #told: Readonly<Record<Direction, Map<number, Told>>> = { read: new Map(), write: new Map() }

  /** @param whyDriver why the loop has the driver it has, in words, for messages */
  constructor(loop: Loop, whyDriver: string | undefined) {
    this.#loop = loop
    this.#whyDriver = whyDriver
  }

  /** @throws {MisuseError} if `callback` is no plain function, or the driver cannot do that; what the system says */
  watch(act: string, descriptor: number, direction: Direction, callback: Callback): void {
    const loop = this.#loop
    const checked: () => unknown = checkedCallback(act, callback)
    const descriptors = this.#descriptorsOf(act)
    const scope = loop.callbackScope(running.runner)
    const told: Told = { handle: null, disown: () => {} }
    const once = (): unknown => {
      told.handle = null
      return checked()
    }
    // For reports of what it throws.
    const where = act.replace('()', `(${String(descriptor)})`)
    Object.defineProperty(once, 'name', { value: checked.name === '' ? where : `${checked.name}, ${where}` })
    descriptors.watch(descriptor, direction, () => {
      // It is told again before the callback had its pass.
      if (told.handle !== null) return
      told.handle = new Handle(loop, once, scope)
      loop.schedule(told.handle)
    })
    this.#takeBack(descriptor, direction)
    this.#told[direction].set(descriptor, told)
    if (scope.runner !== null) told.disown = scope.runner.own(() => this.unwatch(act, descriptor, direction))
  }

  /** @returns false if there was none */
  unwatch(act: string, descriptor: number, direction: Direction): boolean {
    const removed = this.#descriptorsOf(act).unwatch(descriptor, direction)
    this.#takeBack(descriptor, direction)
    return removed
  }

  /** It may be told already: whoever was removed or replaced is not called any more. */
  #takeBack(descriptor: number, direction: Direction): void {
    const told = this.#told[direction].get(descriptor)
    told?.handle?.cancel()
    told?.disown()
    this.#told[direction].delete(descriptor)
  }

  #descriptorsOf(act: string): Descriptors {
    const { descriptors, name } = this.#loop.driver
    if (descriptors !== undefined) return descriptors
    const why = this.#whyDriver === undefined ? '' : ` (${this.#whyDriver})`
    throw new MisuseError(
      `${act}: a driver that watches descriptors was expected (epoll), found \`${name}\`${why}; ` +
        'elsewhere a stream of Node can read it: net.Socket, tty.ReadStream',
    )
  }
}
