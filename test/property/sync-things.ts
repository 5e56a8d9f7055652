/** Makes the things of a program: see sync-thing.ts for what one is. */
import { LimiterThing, LockThing, SemaphoreThing } from './sync-held.ts'
import { BarrierThing, ConditionThing, EventThing } from './sync-meetings.ts'
import type { ThingSpec } from './sync-program.ts'
import { BroadcastThing, ChannelThing, QueueThing } from './sync-queues.ts'
import type { Thing } from './sync-thing.ts'
import type { World } from './sync-world.ts'

export function makeThing(world: World, spec: ThingSpec, index: number): Thing {
  switch (spec.kind) {
    case 'lock':
      return new LockThing(world, spec, index)
    case 'event':
      return new EventThing(world, spec, index)
    case 'condition':
      return new ConditionThing(world, spec, index)
    case 'semaphore':
    case 'boundedSemaphore':
      return new SemaphoreThing(world, spec, index)
    case 'limiter':
      return new LimiterThing(world, spec, index)
    case 'barrier':
      return new BarrierThing(world, spec, index)
    case 'queue':
      return new QueueThing(world, spec, index)
    case 'channel':
      return new ChannelThing(world, spec, index)
    case 'broadcast':
      return new BroadcastThing(world, spec, index)
  }
}
