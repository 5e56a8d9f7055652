/** How a socket that was accepted and is not wanted is refused, on the epoll driver: with a reset, or with last words. */
import type { EpollDriver, Watcher } from '../drivers/epoll.ts'
import { EAGAIN, PEER_ENDED, READABLE } from '../drivers/shim.ts'
import { LAST_ANSWER_MS, MOST_ANSWERING } from './peer-grace.ts'

let answering = 0

const discarded = Buffer.allocUnsafeSlow(4_096)

/** Closes a socket that nobody watches; without `answer`, and while too many are answered, with a reset. */
export function refuseSocket(driver: EpollDriver, socket: number, answer?: Uint8Array): void {
  if (answer === undefined || answering === MOST_ANSWERING) {
    driver.shim.reset(socket)
    return
  }
  try {
    new Answering(driver, socket, answer)
  } catch {
    // It cannot be watched, so it cannot be read away.
    driver.shim.reset(socket)
  }
}

/**
 * A peer that is refused with an answer. Closing a socket with unread bytes resets it, and the peer may never see the
 * answer: what it sends is read away until it has closed too.
 */
class Answering implements Watcher {
  readonly #driver: EpollDriver
  readonly #socket: number
  readonly #token: number
  readonly #timer: ReturnType<typeof setTimeout>
  #closed = false

  constructor(driver: EpollDriver, socket: number, answer: Uint8Array) {
    this.#driver = driver
    this.#socket = socket
    // A socket that has sent nothing takes it whole, or it is longer than any answer should be.
    driver.shim.write(socket, answer, 0, answer.length)
    driver.shim.endWriting(socket)
    this.#token = driver.watch(socket, READABLE | PEER_ENDED, this)
    this.#timer = setTimeout(() => this.#close(), LAST_ANSWER_MS)
    answering++
  }

  ready(): void {
    const result = this.#driver.shim.read(this.#socket, discarded, 0, discarded.length)
    if (result <= 0 && result !== -EAGAIN) this.#close()
  }

  #close(): void {
    if (this.#closed) return
    this.#closed = true
    answering--
    clearTimeout(this.#timer)
    this.#driver.forget(this.#token)
    this.#driver.shim.close(this.#socket)
  }
}
