// Programs on the host's own clock, each run in a process of its own by host.test.ts: what matters is that the process
// ends, and not before it should.
import { createTask, getRunningLoop, run, sleep, timeout } from 'cede'

const HOUR_MS = 3_600_000

const programs: Readonly<Record<string, () => Promise<void>>> = {
  async sleeps() {
    await run(sleep(50))
    console.log('slept')
  },

  async 'leaves-timers'() {
    await run(function* () {
      getRunningLoop().callLater(HOUR_MS, () => console.log('must not act'))
      getRunningLoop().callAt(getRunningLoop().time() + HOUR_MS, () => console.log('must not act'))
      yield* sleep(5)
    })
    console.log('main ended')
  },

  async 'cancels-timers'() {
    await run(function* () {
      createTask(sleep(HOUR_MS))
      yield* timeout(HOUR_MS, sleep(5))
    })
    console.log('main ended')
  },

  async 'second-run'() {
    await run(function* () {
      getRunningLoop().callLater(HOUR_MS, () => console.log('must not act'))
      yield* sleep(5)
    })
    console.log('first')
    await new Promise((resolve) => setTimeout(resolve, 20))
    await run(sleep(20))
    console.log('second')
  },
}

await programs[process.argv[2] ?? '']!()
