/** A network in memory. */
import type { Loop } from '../core/loop.ts'
import type { Resolver } from './resolver.ts'
import type {
  ConnectEvents,
  ConnectSettings,
  ListenEvents,
  ListenSettings,
  Network,
  Place,
} from './transport.ts'

export class MemoryNetwork implements Network {
  // eslint-disable-next-line require-yield
  readonly resolver: Resolver = function* (host) {
    return [{ address: host, family: 4 }]
  }

  constructor(_loop: Loop) {}

  listen(_place: Place, _settings: ListenSettings, events: ListenEvents): () => void {
    events.failed(new Error('not yet'))
    return () => {}
  }

  connect(_place: Place, _settings: ConnectSettings, events: ConnectEvents): () => void {
    events.failed(new Error('not yet'))
    return () => {}
  }
}
