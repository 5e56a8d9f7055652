// Does with `npm start` what a newcomer does: starts it, waits until it says where it listens, talks to it, and
// presses Ctrl-C (a signal to the whole process group, as a terminal sends it).
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createConnection } from 'node:net'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = dirname(dirname(fileURLToPath(import.meta.url)))
const server = spawn('npm', ['start', '--', '--port', '0'], {
  cwd: root,
  detached: true,
  stdio: ['ignore', 'pipe', 'inherit'],
})
const group = -server.pid!
const giveUp = setTimeout(() => {
  process.kill(group, 'SIGKILL')
  console.error('smoke: expected all to be done within 60 s, found it still running')
  process.exit(1)
}, 60_000)

let printed = ''
const port = await new Promise<number>((resolve, reject) => {
  server.stdout.on('data', (chunk: Buffer) => {
    printed += chunk.toString()
    const [, found] = /(?:127\.0\.0\.1|localhost|\[::1?\]|0\.0\.0\.0)[: ](\d+)/.exec(printed) ?? []
    if (found !== undefined && Number(found) > 0) resolve(Number(found))
  })
  server.on('close', () => {
    reject(new Error(`start: expected a line with the address, found the end after\n${printed}`))
  })
})
console.log(`it listens on port ${port}`)

const socket = createConnection({ host: '127.0.0.1', port })
socket.setEncoding('utf8')
let heard = ''
socket.on('data', (text: string) => (heard += text))
socket.write('hello\nBYE\n')
await once(socket, 'close')
if (heard !== 'hello\n') throw new Error(`talk: expected the echo 'hello', found ${JSON.stringify(heard)}`)
console.log('it echoes, and BYE ends the connection')

process.kill(group, 'SIGINT')
const [status, signal] = (await once(server, 'close')) as [number | null, string | null]
clearTimeout(giveUp)
if (signal !== 'SIGINT' && status !== 130) {
  throw new Error(
    `Ctrl-C: expected an end by SIGINT or status 130, found ${status ?? signal ?? 'neither'}\n${printed}`,
  )
}
console.log(`Ctrl-C ends it (${signal ?? status})`)
