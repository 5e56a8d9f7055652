/** The shim of system calls, for tests that are skipped where it cannot be loaded. */
import { loadShim, type Shim } from '../../packages/cede/src/drivers/shim.ts'

let loaded!: Shim
let why: string | false = false
try {
  loaded = loadShim()
} catch (error) {
  why = (error as Error).message
}

/** Undefined if `skip` says that there is none. */
export const shim: Shim = loaded
export const skip: string | false = why
