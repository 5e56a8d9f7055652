/**
 * The errors of streams and servers: a class per cause. What you closed yourself is `ClosedError` (core), what took too
 * long `TimeoutError` (core); here are the rest.
 */
import { MisuseError, type CodedError } from '../core/errors.ts'

/** The connection broke: the peer reset it, it timed out, the network went away. `cause` is the system's error. */
export class ConnectionLostError extends Error implements CodedError {
  static {
    this.prototype.name = 'ConnectionLostError'
  }
  readonly code = 'CEDE_CONNECTION_LOST'
  /** The system's own code, e.g. `ECONNRESET`, if it gave one. */
  readonly systemCode: string | undefined

  /** @param attempted what was attempted and expected, e.g. `drain() to 10.0.0.1:80: expected ...` */
  constructor(attempted: string, cause: Error) {
    super(`${attempted}, found the connection lost (${cause.message})`, { cause })
    this.systemCode = systemCodeOf(cause)
  }
}

/** Somebody else is doing what only one can do at a time. */
export class BusyError extends Error implements CodedError {
  static {
    this.prototype.name = 'BusyError'
  }
  readonly code = 'CEDE_BUSY'
}

/** More was received or would be buffered than is allowed. Nothing is thrown away; the message names the option. */
export class LimitError extends Error implements CodedError {
  static {
    this.prototype.name = 'LimitError'
  }
  readonly code = 'CEDE_LIMIT'
  /** The limit that was in force. */
  readonly limitBytes: number
  /**
   * For reads: how many bytes at the front of the buffer were found to be too long. They are still there; `read`
   * gives them.
   */
  readonly consumedBytes: number

  constructor(message: string, limitBytes: number, consumedBytes: number) {
    super(message)
    this.limitBytes = limitBytes
    this.consumedBytes = consumedBytes
  }
}

/** What the peer sent is not what the framing allows. Nothing is thrown away: it is still in the buffer. */
export class ProtocolError extends Error implements CodedError {
  static {
    this.prototype.name = 'ProtocolError'
  }
  readonly code = 'CEDE_PROTOCOL'
  /** What was received: the bytes at the front of the buffer, through the first that is wrong. A copy. */
  readonly received: Buffer
  /** How many bytes that are. They are still there; `reader.read(error.consumedBytes)` gets past them. */
  readonly consumedBytes: number

  constructor(message: string, received: Uint8Array, options?: ErrorOptions) {
    super(message, options)
    this.received = Buffer.from(received)
    this.consumedBytes = received.length
    Object.defineProperty(this, 'received', { enumerable: false })
  }
}

/** The stream ended before what was asked for had come. */
export class IncompleteReadError extends Error implements CodedError {
  static {
    this.prototype.name = 'IncompleteReadError'
  }
  readonly code = 'CEDE_INCOMPLETE_READ'
  /** What had come. It has left the buffer. */
  readonly partial: Buffer
  /** How many bytes were asked for; undefined if it was a separator. */
  readonly expected: number | undefined

  constructor(message: string, partial: Buffer, expected: number | undefined) {
    super(message)
    this.partial = partial
    this.expected = expected
    Object.defineProperty(this, 'partial', { enumerable: false })
  }
}

/** A server could not listen: the port is in use, the address is not of this machine, the right is missing. */
export class ListenError extends Error implements CodedError {
  static {
    this.prototype.name = 'ListenError'
  }
  readonly code = 'CEDE_LISTEN'
  /** Where it was to listen, as `host:port`. */
  readonly address: string
  /** The system's own code, e.g. `EADDRINUSE`. */
  readonly systemCode: string | undefined

  constructor(address: string, cause: Error) {
    const causes = isPath(address) ? LISTEN_PATH_CAUSES : LISTEN_CAUSES
    super(`listen on ${address}: ${expectedOf(cause, causes)}`, { cause })
    this.address = address
    this.systemCode = systemCodeOf(cause)
  }
}

/** A connection could not be opened: nobody listens there, the host is unknown, nothing answers. */
export class ConnectError extends Error implements CodedError {
  static {
    this.prototype.name = 'ConnectError'
  }
  readonly code = 'CEDE_CONNECT'
  /** Where it was to lead, as `host:port`. */
  readonly address: string
  /** The system's own code, e.g. `ECONNREFUSED`; that of the first attempt, if there were several. */
  readonly systemCode: string | undefined
  /** If the host has several addresses: what each attempt met, in the order the attempts ended. */
  readonly attempts: readonly Error[]

  constructor(address: string, causes: readonly Error[]) {
    const [first = new Error('no attempt was made')] = causes
    const found =
      causes.length < 2
        ? expectedOf(first, isPath(address) ? CONNECT_PATH_CAUSES : CONNECT_CAUSES)
        : `expected one of ${String(causes.length)} addresses to answer, found ${causes.map(shortOf).join('; ')}`
    super(`connect to ${address}: ${found}`, { cause: first })
    this.address = address
    this.systemCode = systemCodeOf(first)
    this.attempts = causes
    Object.defineProperty(this, 'attempts', { enumerable: false })
  }
}

/** An attempt's own error without what all of them have in common. */
function shortOf(error: Error): string {
  return error.message.replace(/^connect to /, '')
}

const UNKNOWN_HOST = 'expected a host that is known, found no address for it'

const NO_SERVERS = 'expected the name servers to answer, found that they do not'
const NO_DESCRIPTOR = 'expected a free file descriptor, found none left'

/** What happens to sockets of every kind. */
const COMMON_CAUSES: Readonly<Record<string, string>> = {
  ENOTFOUND: UNKNOWN_HOST,
  EAI_AGAIN: NO_SERVERS,
  EMFILE: NO_DESCRIPTOR,
  ENFILE: NO_DESCRIPTOR,
}

const LISTEN_CAUSES: Readonly<Record<string, string>> = {
  EADDRINUSE: 'expected a free port, found it in use',
  EADDRNOTAVAIL: 'expected an address of this machine, found another',
  EACCES: 'expected a port this user may listen on, found permission denied',
}

const LISTEN_PATH_CAUSES: Readonly<Record<string, string>> = {
  EADDRINUSE: 'expected a free path, found it in use',
  EACCES: 'expected a directory in which this user may make files, found permission denied',
  ENOENT: 'expected a directory for the socket, found none',
  ENOTDIR: 'expected a directory for the socket, found a file in its place',
}

const CONNECT_CAUSES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'expected a server, found nobody listening',
  ECONNRESET: 'expected the server to keep the connection, found it reset',
  ETIMEDOUT: 'expected an answer, found none in time',
  EHOSTUNREACH: 'expected a way to the host, found none',
  ENETUNREACH: 'expected a way to the network, found none',
  EADDRNOTAVAIL: 'expected a local address and port to connect from, found none',
  EADDRINUSE: 'expected a free local port to connect from, found it in use',
}

const CONNECT_PATH_CAUSES: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'expected a socket on which somebody listens, found none',
  ECONNRESET: CONNECT_CAUSES['ECONNRESET']!,
  ENOENT: 'expected a socket, found no file',
  ENOTDIR: 'expected a socket, found a file in place of its directory',
  EACCES: 'expected a socket this user may write to, found permission denied',
  EAGAIN: 'expected room among those that wait to be accepted, found none',
}

function expectedOf(cause: Error, causes: Readonly<Record<string, string>>): string {
  const code = systemCodeOf(cause)
  // Errors of our own say it better than their code can.
  if (cause instanceof MisuseError) return cause.message
  if (cause instanceof Error && cause.message.startsWith('expected ')) return withCode(cause.message, code)
  const known = code === undefined ? undefined : (causes[code] ?? COMMON_CAUSES[code])
  return known === undefined ? `expected no error, found ${messageOf(cause)}` : withCode(known, code)
}

function withCode(message: string, code: string | undefined): string {
  return code === undefined ? message : `${message} (${code})`
}

/** What a resolver throws need not be an error. */
function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown)
}

/** As `formatAddress` writes those of Unix sockets. */
function isPath(address: string): boolean {
  return address.startsWith('unix:')
}

function systemCodeOf(error: Error): string | undefined {
  if (error instanceof ConnectError) return error.systemCode
  const { code } = Object(error) as { code?: unknown }
  // What this library itself found is no matter of the system.
  return typeof code === 'string' && !code.startsWith('CEDE_') ? code : undefined
}
