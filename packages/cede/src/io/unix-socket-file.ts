/**
 * The file of a Unix socket that a server listens on.
 *
 * A server that was killed leaves its file behind, and nobody can listen there again; a server that just replaces what
 * it finds takes the place of one that runs. So a file that is there is tried: only if it is a socket and nobody
 * answers is it replaced. When the server closes it removes the file, but only if it is still its own: a newer server
 * may have replaced it.
 *
 * The socket is bound under another name in the same directory and then renamed. So the change is one step, rights are set
 * before anybody can connect, and the host's own removal on closing, which does not look whose file it is, finds nothing.
 * A rename replaces whatever is there by then: so right before it the place must be empty or look as it did when it was
 * tried. Otherwise one of two servers that start at the same time would take the place of the other.
 */
import { randomBytes } from 'node:crypto'
import { chmodSync, lstatSync, renameSync, statSync, unlinkSync } from 'node:fs'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'

/** What `sun_path` of Linux holds, without its end; other systems have a little less. */
const LONGEST_PATH_BYTES = 107

export class UnixSocketFile {
  readonly path: string
  /** Where the host binds. */
  readonly boundPath: string
  /** What tells our file from one that has replaced it. */
  #identity: string | null = null
  /** What was found at the place, and may be replaced; null: nothing. */
  #replaced: string | null = null
  readonly #hasFile: boolean

  constructor(path: string) {
    this.path = path
    this.#hasFile = !path.startsWith('\0') && process.platform !== 'win32'
    // Not the number of the process: those of two containers that share a directory are often the same.
    this.boundPath = this.#hasFile ? join(dirname(path), `.${randomBytes(4).toString('hex')}`) : path
  }

  /** Finds out whether the place is free, and calls back once. @returns how to give up */
  whenFree(done: (error: Error | null) => void): () => void {
    if (!this.#hasFile) {
      done(null)
      return () => {}
    }
    const unusable = unusablePath(this.path) ?? unusablePath(this.boundPath) ?? noDirectory(this.path)
    if (unusable !== null) {
      done(unusable)
      return () => {}
    }
    let isSocket: boolean
    try {
      isSocket = lstatSync(this.path).isSocket()
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      done(code === 'ENOENT' ? null : (error as Error))
      return () => {}
    }
    if (!isSocket) {
      done(inUse('expected a socket or nothing, found another kind of file'))
      return () => {}
    }
    this.#replaced = identityOf(this.path)
    return whenAnswered(this.path, (answer) => {
      done(answer === 'nobody' ? null : answer === 'somebody' ? inUse('somebody listens there') : answer)
    })
  }

  /** The socket is bound: puts it in its place. @throws what the file system says; then nothing is left */
  publish(mode: number | undefined): void {
    if (!this.#hasFile) return
    try {
      const there = identityOf(this.path)
      if (there !== null && there !== this.#replaced) throw inUse('somebody else was faster')
      if (mode !== undefined) chmodSync(this.boundPath, mode)
      this.#identity = identityOf(this.boundPath)
      renameSync(this.boundPath, this.path)
    } catch (error) {
      try {
        unlinkSync(this.boundPath)
      } catch {
        // The first error says what is wrong.
      }
      throw error
    }
  }

  /** Removes the file if it is still the one that was published. */
  remove(): void {
    if (this.#identity === null || identityOf(this.path) !== this.#identity) return
    try {
      unlinkSync(this.path)
    } catch {
      // Somebody was faster.
    }
  }
}

function whenAnswered(path: string, done: (answer: 'nobody' | 'somebody' | Error) => void): () => void {
  const socket = connect({ path })
  socket.once('connect', () => {
    socket.destroy()
    done('somebody')
  })
  socket.on('error', (error: NodeJS.ErrnoException) => {
    // More wait for whoever listens there than it has room for.
    if (error.code === 'EAGAIN') done('somebody')
    else done(error.code === 'ECONNREFUSED' || error.code === 'ENOENT' ? 'nobody' : error)
  })
  return () => {
    socket.removeAllListeners()
    socket.on('error', () => {})
    socket.destroy()
  }
}

function identityOf(path: string): string | null {
  try {
    const { dev, ino, birthtimeMs } = lstatSync(path)
    return `${String(dev)}:${String(ino)}:${String(birthtimeMs)}`
  } catch {
    return null
  }
}

function inUse(message: string): Error {
  return Object.assign(new Error(message), { code: 'EADDRINUSE' })
}

/** The host would say that permission is denied. */
function noDirectory(path: string): Error | null {
  try {
    statSync(dirname(path))
    return null
  } catch (error) {
    return error as Error
  }
}

/** A path that the system would cut off, and mean another file; null: it would not. */
export function unusablePath(path: string): Error | null {
  if (path.lastIndexOf('\0') > 0 && !path.startsWith('\0')) {
    return Object.assign(new Error(`expected a path without a zero byte, found ${JSON.stringify(path)}`), {
      code: 'EINVAL',
    })
  }
  const bytes = Buffer.byteLength(path)
  if (bytes <= LONGEST_PATH_BYTES) return null
  return Object.assign(
    new Error(`expected a path of at most ${String(LONGEST_PATH_BYTES)} bytes, found ${String(bytes)}`),
    { code: 'ENAMETOOLONG' },
  )
}
