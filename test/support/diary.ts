/**
 * What happened in a test, in order: coroutines write into the diary, the test compares it at the end.
 *
 *   const diary = new Diary()
 *   diary.write('begun')
 *   diary.timed('woken') // with the loop's time in front: '100 woken'
 *   diary.expect('begun', '100 woken')
 */
import assert from 'node:assert/strict'
import { getRunningLoop } from 'cede'

export class Diary {
  readonly entries: string[] = []

  write(entry: string): void {
    this.entries.push(entry)
  }

  /** Writes an entry with the running loop's time in milliseconds in front. */
  timed(entry: string): void {
    this.entries.push(`${getRunningLoop().time()} ${entry}`)
  }

  /** A callback that writes `entry`. */
  writer(entry: string): () => void {
    return () => this.write(entry)
  }

  /** Fails unless exactly these entries were written since the last `expect`, in this order. */
  expect(...entries: readonly string[]): void {
    assert.deepEqual(this.entries.splice(0), entries)
  }
}
