// Watches what give-descriptors.py hands over: an eventfd, a timerfd, and both ends of a terminal.
import { closeSync, readSync, writeSync } from 'node:fs'
import { getRunningLoop, run, Event, type Suspension } from 'cede'

const [event = -1, timer = -1, master = -1, terminal = -1] = process.argv.slice(2).map(Number)
const memory = Buffer.alloc(4_096)

function counted(descriptor: number): number {
  readSync(descriptor, memory, 0, 8, null)
  return Number(memory.readBigUInt64LE(0))
}

function add(count: number): void {
  memory.writeBigUInt64LE(BigInt(count), 0)
  writeSync(event, memory, 0, 8)
}

/** Waits until `take`, called whenever `descriptor` can be read, returns true. */
function* readUntil(descriptor: number, take: () => boolean): Generator<Suspension, void> {
  const loop = getRunningLoop()
  const done = new Event()
  loop.addReader(descriptor, () => {
    if (!take()) return
    loop.removeReader(descriptor)
    done.set()
  })
  yield* done.wait()
}

function* countEvents() {
  const counts: number[] = []
  add(1)
  yield* readUntil(event, () => counts.push(counted(event)) > 0)
  add(40)
  add(1)
  yield* readUntil(event, () => counts.push(counted(event)) > 0)
  const loop = getRunningLoop()
  const writable = new Event()
  loop.addWriter(event, () => {
    loop.removeWriter(event)
    writable.set()
  })
  yield* writable.wait()
  console.log(`eventfd: counted ${counts.join(', then ')}, writable: ${String(writable.isSet())}`)
}

function* countTimer() {
  let times = 0
  yield* readUntil(timer, () => (times += counted(timer)) >= 3)
  console.log('timerfd: went off 3 times or more')
}

function* talkOnTerminal() {
  let typed = ''
  const takeLines = (lines: number) => (): boolean => {
    typed += memory.toString('latin1', 0, readSync(terminal, memory))
    return typed.split('\n').length > lines
  }
  writeSync(master, 'one line')
  // A terminal gives whole lines.
  setTimeout(() => writeSync(master, '\n'), 1)
  yield* readUntil(terminal, takeLines(1))
  writeSync(master, 'two lines\n')
  yield* readUntil(terminal, takeLines(2))
  closeSync(terminal)
  let hungUp = ''
  yield* readUntil(master, () => {
    try {
      // What was typed has come back as an echo.
      readSync(master, memory)
      return false
    } catch (error) {
      hungUp = (error as NodeJS.ErrnoException).code!
      return hungUp !== 'EAGAIN'
    }
  })
  console.log(`terminal: ${typed.trimEnd().split('\n').join(', ')}; then hung up (${hungUp})`)
}

await run(function* () {
  yield* countEvents()
  yield* countTimer()
  yield* talkOnTerminal()
})
