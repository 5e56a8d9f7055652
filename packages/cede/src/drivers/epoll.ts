/**
 * The driver for Linux on Node: our own readiness loop, a guest of libuv's.
 *
 * libuv polls one descriptor for us, that of our epoll instance. When it is ready we get all its events in one crossing
 * into JavaScript, tell each watcher, and run the loop's turn right after them: what was read is answered before the
 * next look. After a batch we look once more, without waiting, before we go back to libuv; but not for long, so that
 * timers and sockets of other libraries have their turn. Timers, microtasks and what keeps the process alive are those
 * of the host driver.
 *
 * Watchers ask for edges: the kernel tells what has changed, once. It is the cheapest way to ask, since nothing has to
 * be changed in the kernel when a reader pauses, and nothing is told twice. The price: a watcher that stops before it has
 * read everything must remember that, and ask to be called again (`callAgain`).
 *
 * The kernel reuses descriptors at once. In one batch, an event of a connection that was closed by an earlier event of
 * the same batch may be followed by a new connection with the same number. So events carry a token, a place in a table
 * and a generation that changes whenever the place is given up: what was meant for the old one finds nobody.
 *
 * The kernel forgets a descriptor by itself when its file is closed; that is not so while another process has the file
 * too, and nobody here can take it back then. If it is ready, each look finds it, for nobody, and libuv looks again at
 * once. So when the same one was found many times in a row we make a new epoll instance, for those whom we know.
 */
import { DescriptorTable } from './descriptor-table.ts'
import { HostDriver } from './host.ts'
import { ENOENT, type Shim } from './shim.ts'
import { systemError } from './system-error.ts'

/** Told what has happened to a descriptor; outside of any step, and may be closed in there. */
export interface Watcher {
  /** @param bits what the kernel says; 0 after `callAgain` */
  ready(bits: number): void
}

const PLACE_BITS = 20
/** The last one is never given out: its last token would be -1, which nobody has. */
const PLACES = 1 << PLACE_BITS
const PLACE_MASK = PLACES - 1
/** Events in one batch. */
const MOST_EVENTS = 256
/** So many looks without going back to libuv, and no more of them when so many events have come. */
const MOST_LOOKS = 16
/** Looks in a row with the same event for nobody. One is usual: of what was closed by an earlier event. */
const MOST_STRAY_LOOKS = 64
const NO_TOKEN = -1

export class EpollDriver extends HostDriver {
  override readonly name = 'epoll'
  /** @internal */
  readonly shim: Shim
  /** -1: closed. */
  #poller: number
  /** Written by the shim: token and bits, pair after pair. */
  readonly #events = new Int32Array(2 * MOST_EVENTS)
  /** By place. */
  readonly #watchers: (Watcher | null)[] = []
  /** By place: the token that is valid, or the next one. */
  readonly #tokens: number[] = []
  /** By place: what it is watched for. */
  readonly #bits: number[] = []
  readonly #freePlaces: number[] = []
  /** By descriptor: the token with which it was watched last. */
  readonly #tokenOf: number[] = []
  /** Watchers for whom the process must stay alive. */
  #needed = 0
  readonly descriptors: DescriptorTable = new DescriptorTable(this)
  /** Those who were not done when they stopped. */
  #unfinished: Watcher[] = []
  /** Looks, and events, since it went back to libuv with something left, or with enough done. */
  #looks = 0
  #seen = 0
  /** Token of an event for nobody, which came in so many looks in a row; and one that came in this look. */
  #stray = NO_TOKEN
  #strayLooks = 0
  #strayNow = NO_TOKEN

  /** @throws {Error} if the system refuses */
  constructor(shim: Shim) {
    super()
    // V8 keeps an object of so many functions as a dictionary, and looks into it with each call; but no prototype.
    this.shim = Object.create(shim) as Shim
    this.#poller = checked(this.#openPoller(), 'epoll_create1')
  }

  #openPoller(): number {
    const poller = this.shim.openPoller(this.#events, this.#dispatch)
    if (poller >= 0) this.shim.referPoller(poller, this.#needed > 0)
    return poller
  }

  /**
   * Gives the descriptors of the driver itself back. For drivers that do not live as long as their thread. Nothing can be
   * watched afterwards (EBADF).
   */
  close(): void {
    this.shim.closePoller(this.#poller)
    // The number may be that of another one soon.
    this.#poller = -1
  }

  /** How many descriptors are watched. */
  get watched(): number {
    return this.#watchers.length - this.#freePlaces.length
  }

  override hold(active: boolean): void {
    super.hold(active)
    this.descriptors.hold(active)
  }

  // ------------------------------------------------------------------ events

  /** @returns true to look again at once */
  readonly #dispatch = (count: number): boolean => {
    if (count < 0) throw systemError(count, 'epoll_wait')
    const events = this.#events
    this.beginBatch()
    let turned = false
    try {
      for (let i = 0; i < 2 * count; i += 2) this.#tell(events[i]!, events[i + 1]!)
    } finally {
      turned = this.endBatch()
    }
    this.#looks++
    this.#seen += count
    if (this.#stray !== this.#strayNow || this.#stray !== NO_TOKEN) this.#checkStray()
    // Work that is left waits until everybody had their chance.
    if (turned && !this.turnAsked && this.#looks < MOST_LOOKS && this.#seen < MOST_EVENTS) return true
    this.#looks = 0
    this.#seen = 0
    return false
  }

  #tell(token: number, bits: number): void {
    const place = token & PLACE_MASK
    if (this.#tokens[place] !== token) {
      // Of several the one that is known already.
      if (this.#strayNow !== this.#stray || this.#stray === NO_TOKEN) this.#strayNow = token
      return
    }
    try {
      this.#watchers[place]?.ready(bits)
    } catch (error) {
      throwLater(error)
    }
  }

  /** Calls `watcher.ready(0)` when everybody else had their chance. It must not ask again before that. */
  callAgain(watcher: Watcher): void {
    if (this.#unfinished.push(watcher) === 1) setImmediate(this.#goOn)
  }

  readonly #goOn = (): void => {
    const watchers = this.#unfinished
    this.#unfinished = []
    this.beginBatch()
    try {
      for (const watcher of watchers) {
        try {
          watcher.ready(0)
        } catch (error) {
          throwLater(error)
        }
      }
    } finally {
      this.endBatch()
    }
  }

  // ------------------------------------------------------------------ who watches what

  /**
   * Tells `watcher` when `descriptor` has one of the `bits`.
   *
   * @returns a token, for `rewatch` and `forget`
   * @throws {Error} what epoll_ctl says
   */
  watch(descriptor: number, bits: number, watcher: Watcher): number {
    let place = this.#freePlaces.pop()
    if (place === undefined) {
      place = this.#watchers.length
      if (place >= PLACES - 1)
        throw new Error(`cede: no more than ${String(PLACES - 1)} descriptors can be watched`)
      this.#tokens.push(place)
      this.#bits.push(0)
      this.#watchers.push(null)
    }
    const token = this.#tokens[place]!
    const result = this.shim.watch(this.#poller, descriptor, bits, token)
    if (result < 0) {
      this.#freePlaces.push(place)
      throw systemError(result, 'epoll_ctl')
    }
    this.#watchers[place] = watcher
    this.#bits[place] = bits
    this.#tokenOf[descriptor] = token
    return token
  }

  /** Other bits, or another watcher. Tells at once what is so already. @throws {Error} what epoll_ctl says */
  rewatch(token: number, descriptor: number, bits: number, watcher: Watcher): void {
    const place = token & PLACE_MASK
    if (this.#tokens[place] !== token) throw systemError(-ENOENT, 'epoll_ctl')
    checked(this.shim.rewatch(this.#poller, descriptor, bits, token), 'epoll_ctl')
    this.#watchers[place] = watcher
    this.#bits[place] = bits
  }

  /** Nobody is told any more; the descriptor is about to be closed. */
  forget(token: number): void {
    const place = token & PLACE_MASK
    if (this.#tokens[place] !== token) return
    this.#watchers[place] = null
    this.#tokens[place] = (token + PLACES) | 0
    this.#freePlaces.push(place)
  }

  /** As `forget`, of a descriptor that stays open. */
  unwatch(token: number, descriptor: number): void {
    this.forget(token)
    if (this.watches(token, descriptor)) this.shim.unwatch(this.#poller, descriptor)
  }

  /** False if the descriptor was closed by somebody else, and its number is watched for another one by now. */
  watches(token: number, descriptor: number): boolean {
    return this.#tokenOf[descriptor] === token
  }

  #checkStray(): void {
    const again = this.#strayNow === this.#stray
    this.#stray = this.#strayNow
    this.#strayNow = NO_TOKEN
    this.#strayLooks = again ? this.#strayLooks + 1 : 0
    if (this.#strayLooks < MOST_STRAY_LOOKS) return
    this.#strayLooks = 0
    if (this.#poller !== -1) this.#changePoller()
  }

  /** The same again without those whom nobody knows. If the system refuses, it is tried again later. */
  #changePoller(): void {
    const old = this.#poller
    const poller = this.#openPoller()
    if (poller < 0) return
    this.#poller = poller
    this.#tokenOf.forEach((token, descriptor) => {
      const place = token & PLACE_MASK
      const bits = this.#bits[place]!
      // Not one whose number is another file's by now: that is not watched there.
      if (this.#tokens[place] === token && this.shim.rewatch(old, descriptor, bits, token) === 0)
        this.shim.watch(poller, descriptor, bits, token)
    })
    this.shim.closePoller(old)
  }

  /** One more, or one less, for whom the process must stay alive. */
  need(more: boolean): void {
    this.#needed += more ? 1 : -1
    if (this.#needed === (more ? 1 : 0)) this.shim.referPoller(this.#poller, more)
  }
}

function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error
  })
}

function checked(result: number, call: string): number {
  if (result < 0) throw systemError(result, call)
  return result
}
