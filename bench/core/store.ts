// An AsyncLocalStorage in use, as a tracing library would have it. Keeping it costs more when there is
// something to keep: with no store anywhere Node takes short cuts.

import { AsyncLocalStorage } from 'node:async_hooks'

const storage = new AsyncLocalStorage<string>()

export function inStore<T>(action: () => T): T {
  return storage.run('kept', action)
}

export function isKept(): boolean {
  return storage.getStore() === 'kept'
}
