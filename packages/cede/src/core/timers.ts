/**
 * Timers: armed and cancelled in constant time in the usual case.
 *
 * Most programs use few durations and cancel nearly all timeouts. So there is a list per duration: with one duration,
 * timers become due in the order in which they were armed, and arming is an append, cancelling an unlink. Only the
 * lists stand in a heap, by the deadline of their first timer; when that timer is cancelled the list keeps its old,
 * earlier place and is put right when it comes to the top. Absolute deadlines get a list of their own.
 *
 * Timers never act early. Reading the clock costs as much as a step, so timers are armed against the last reading,
 * which may lie before the arming; at the next reading those armed since are moved by what has passed (`clockRead`).
 * A list remembers its first such timer.
 *
 * Equal deadlines act in the order of creation: each timer has a serial number.
 *
 * Left out: a timer wheel. It is O(1) also for many durations, but rounds deadlines, and the heap of lists is as small
 * as the number of durations in use.
 */

/** Links of a timer in its list; owned by `Timers` while `list` is set. */
export abstract class Timer {
  /** Loop time in milliseconds. */
  deadlineMs = 0
  /** @internal Order of creation. */
  serial = 0
  /** @internal */
  list: TimerList | null = null
  /** @internal */
  earlier: Timer | null = null
  /** @internal */
  later: Timer | null = null

  /** @internal The deadline has passed: take your place in the ready queue. The timer is out of its list by now. */
  abstract due(): void
}

class TimerList {
  /** NaN for the list of one absolute timer. */
  readonly durationMs: number
  first: Timer | null = null
  last: Timer | null = null
  /** The first timer armed since the clock was read last. */
  fresh: Timer | null = null
  listedFresh = false
  /** What the heap is ordered by: deadline and serial of the first timer, or of one that stood before it. */
  keyMs = 0
  keySerial = 0
  inHeap = false

  constructor(durationMs: number) {
    this.durationMs = durationMs
  }
}

/** Below this many empty lists in the heap nothing is swept. */
const SWEEP_FROM = 64

export class Timers {
  readonly #lists = new Map<number, TimerList>()
  #heap: TimerList[] = []
  #freshLists: TimerList[] = []
  #serial = 0
  #emptyInHeap = 0

  /** Arms a timer `durationMs` after `nowMs`, the last reading of the clock. */
  arm(timer: Timer, durationMs: number, nowMs: number): void {
    let list = this.#lists.get(durationMs)
    if (list === undefined) {
      list = new TimerList(durationMs)
      this.#lists.set(durationMs, list)
    }
    timer.deadlineMs = nowMs + durationMs
    list.fresh ??= timer
    if (!list.listedFresh) {
      list.listedFresh = true
      this.#freshLists.push(list)
    }
    this.#append(timer, list)
  }

  /** Arms a timer for an absolute time. */
  armAt(timer: Timer, deadlineMs: number): void {
    timer.deadlineMs = deadlineMs
    this.#append(timer, new TimerList(NaN))
  }

  disarm(timer: Timer): void {
    const { list } = timer
    if (list === null) return
    this.#unlink(timer, list)
    if (list.first === null && list.inHeap) {
      this.#emptyInHeap++
      if (this.#emptyInHeap > SWEEP_FROM && this.#emptyInHeap * 2 > this.#heap.length) this.#sweep()
    }
  }

  /** True if timers were armed since the last reading of the clock. */
  get hasFresh(): boolean {
    return this.#freshLists.length > 0
  }

  /** Moves the timers armed since the last reading by the time that has passed since then. */
  clockRead(passedMs: number): void {
    const lists = this.#freshLists
    if (lists.length === 0) return
    for (const list of lists) {
      if (passedMs > 0) {
        for (let timer = list.fresh; timer !== null; timer = timer.later) timer.deadlineMs += passedMs
      }
      list.fresh = null
      list.listedFresh = false
    }
    lists.length = 0
  }

  /** The earliest deadline of a live timer, or null. */
  nextDeadlineMs(): number | null {
    const list = this.#settledTop()
    return list === null ? null : list.keyMs
  }

  /** Calls `due()` of every timer whose deadline has come, by deadline, then by order of creation. */
  collectDue(nowMs: number): void {
    for (;;) {
      const list = this.#settledTop()
      if (list === null || list.keyMs > nowMs) return
      const timer = list.first!
      this.#unlink(timer, list)
      if (list.first === null) this.#emptyInHeap++
      timer.due()
    }
  }

  /** All live timers, in no particular order; for dumps. */
  *[Symbol.iterator](): Generator<Timer> {
    for (const list of this.#heap) {
      for (let timer = list.first; timer !== null; timer = timer.later) yield timer
    }
  }

  #append(timer: Timer, list: TimerList): void {
    timer.serial = ++this.#serial
    timer.list = list
    const { last } = list
    list.last = timer
    if (last !== null) {
      timer.earlier = last
      last.later = timer
      return
    }
    list.first = timer
    if (list.inHeap) {
      // Its old key is earlier than this deadline, so its place is still a valid lower bound.
      this.#emptyInHeap--
      return
    }
    list.keyMs = timer.deadlineMs
    list.keySerial = timer.serial
    list.inHeap = true
    this.#heap.push(list)
    this.#siftUp(this.#heap.length - 1)
  }

  #unlink(timer: Timer, list: TimerList): void {
    const { earlier, later } = timer
    if (earlier === null) list.first = later
    else earlier.later = later
    if (later === null) list.last = earlier
    else later.earlier = earlier
    if (list.fresh === timer) list.fresh = later
    timer.list = null
    timer.earlier = null
    timer.later = null
  }

  /** Brings a list with a live first timer and a true key to the top of the heap. */
  #settledTop(): TimerList | null {
    for (;;) {
      const list = this.#heap[0]
      if (list === undefined) return null
      const { first } = list
      if (first === null) {
        this.#removeTop(list)
      } else if (list.keySerial !== first.serial || list.keyMs !== first.deadlineMs) {
        list.keyMs = first.deadlineMs
        list.keySerial = first.serial
        this.#siftDown(0)
      } else {
        return list
      }
    }
  }

  #removeTop(list: TimerList): void {
    const last = this.#heap.pop()!
    if (last !== list) {
      this.#heap[0] = last
      this.#siftDown(0)
    }
    this.#dropped(list)
  }

  /** An empty list has left the heap. Its duration may come again, but most never do. */
  #dropped(list: TimerList): void {
    list.inHeap = false
    this.#emptyInHeap--
    this.#lists.delete(list.durationMs)
  }

  /** More than half of the lists are empty: build the heap anew without them. */
  #sweep(): void {
    const live: TimerList[] = []
    for (const list of this.#heap) {
      if (list.first === null) {
        this.#dropped(list)
      } else {
        list.keyMs = list.first.deadlineMs
        list.keySerial = list.first.serial
        live.push(list)
      }
    }
    this.#heap = live
    for (let i = (live.length >> 1) - 1; i >= 0; i--) this.#siftDown(i)
  }

  #siftUp(index: number): void {
    const heap = this.#heap
    const list = heap[index]!
    while (index > 0) {
      const above = (index - 1) >> 1
      if (!before(list, heap[above]!)) break
      heap[index] = heap[above]!
      index = above
    }
    heap[index] = list
  }

  #siftDown(index: number): void {
    const heap = this.#heap
    const list = heap[index]!
    const half = heap.length >> 1
    while (index < half) {
      let below = 2 * index + 1
      if (below + 1 < heap.length && before(heap[below + 1]!, heap[below]!)) below++
      if (!before(heap[below]!, list)) break
      heap[index] = heap[below]!
      index = below
    }
    heap[index] = list
  }
}

function before(a: TimerList, b: TimerList): boolean {
  return a.keyMs < b.keyMs || (a.keyMs === b.keyMs && a.keySerial < b.keySerial)
}
