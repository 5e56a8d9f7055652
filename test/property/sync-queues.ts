/** Things that items go through: queues, channels, and broadcasts. */
import {
  Broadcast,
  channel,
  LifoQueue,
  PriorityQueue,
  Queue,
  type Receiver,
  type Sender,
  type Subscription,
} from 'cede'
import {
  BroadcastModel,
  ChannelModel,
  DONE,
  EndModel,
  fault,
  numbersOf,
  QueueModel,
  SubscriptionModel,
  type Item,
  type Line,
} from './sync-model.ts'
import { AT_END, Passage, received, type Inlet, type Outlet } from './sync-passage.ts'
import { pick, type ThingSpec } from './sync-program.ts'
import { differences, type SpecOf, type UseStep } from './sync-thing.ts'
import type { Env, Run, World } from './sync-world.ts'

export class QueueThing extends Passage<SpecOf<'queue'>> {
  readonly queue: Queue<Item> = queueOf(this.spec, this.name)
  readonly model: QueueModel = new QueueModel(this.name, this.world.expected, this.spec.order, this.spec.size)
  readonly lines: Line[] = [this.model.takers, this.model.putters, this.model.joiners]
  /** Loops that are under way: each may say for one item that it is done. */
  #loops = 0
  /** Items are said to be done by loops alone, or before they were taken: not both, or loops say it too often. */
  #done: 'by loops' | 'early' | null = null

  differences(): string[] {
    const { queue, model } = this
    return differences(
      { ...queue.statistics(), full: queue.full() },
      {
        size: model.items.length,
        tasksWaitingToGet: model.takers.length,
        tasksWaitingToPut: model.putters.length,
        unfinished: model.unfinished,
        isShutDown: model.ended,
        full: model.full,
      },
    )
  }

  override left(): string[] {
    while (!this.queue.empty()) received(this.queue.tryGet())
    return [...super.left(), ...this.lost()]
  }

  protected override inlet(): Inlet {
    const { queue, model } = this
    return {
      real: { send: (item) => queue.put(item), trySend: (item) => queue.tryPut(item) },
      put: (item) => model.put(item),
      refused: () => fault('CEDE_QUEUE_SHUT_DOWN'),
    }
  }

  protected override outlet(): Outlet {
    const { queue, model } = this
    return {
      real: {
        receive: () => queue.get(),
        tryReceive: () => queue.tryGet(),
        next: () => queue.next(),
        forEach: (body) => queue.forEach(body),
      },
      take: () => model.take(),
      ended: (inLoop) => (inLoop ? AT_END : fault('CEDE_QUEUE_SHUT_DOWN')),
    }
  }

  protected override perform(env: Env, name: string, step: UseStep): Run<void> | null {
    if (name === 'forEach') return this.#forEach(env, step)
    if (name === 'join') return this.#join(env, step)
    return super.perform(env, name, step)
  }

  *#forEach(env: Env, step: UseStep): Run<void> {
    if (this.#done === 'early') return
    this.#done = 'by loops'
    this.#loops++
    try {
      yield* this.loop(env, step, () => this.model.taskDone())
    } finally {
      this.#loops--
    }
  }

  *#join(env: Env, step: UseStep): Run<void> {
    const { queue, model } = this
    // It gives way only if nothing is left to do, and that counts then.
    yield* this.wait(
      env,
      'join',
      step,
      () => queue.join(),
      ({ gaveWay }) => (gaveWay ? DONE : model.join()),
    )
  }

  protected override otherwise(name: string, n: number): void {
    if (name === 'taskDone') this.#taskDone()
    else this.#shutdown(n % 2 === 1)
  }

  #taskDone(): void {
    const { items, unfinished } = this.model
    if (unfinished > 0 && unfinished <= items.length + this.#loops) {
      if (this.#done === 'by loops') return
      this.#done = 'early'
    }
    this.both(
      'taskDone',
      () => this.queue.taskDone(),
      () => this.model.taskDone(),
    )
  }

  #shutdown(immediate: boolean): void {
    this.both(
      immediate ? 'shutdown now' : 'shutdown',
      () => numbersOf(this.queue.shutdown({ immediate })),
      () => this.model.shutdown(immediate),
    )
  }
}

function queueOf({ order, size }: SpecOf<'queue'>, name: string): Queue<Item> {
  if (order === 'fifo') return new Queue(size, { name })
  if (order === 'lifo') return new LifoQueue(size, { name })
  return new PriorityQueue<Item>(size, (a, b) => a.priority - b.priority, { name })
}

/** One end of a channel, in the library and in the model. */
interface End<R> {
  readonly real: R
  readonly model: EndModel
}

export class ChannelThing extends Passage {
  readonly model: ChannelModel = new ChannelModel(this.name, this.world.expected, 'fifo', this.spec.size)
  readonly lines: Line[] = [this.model.takers, this.model.putters]
  readonly #senders: End<Sender<Item>>[]
  readonly #receivers: End<Receiver<Item>>[]

  constructor(world: World, spec: ThingSpec, index: number) {
    super(world, spec, index)
    const { sender, receiver } = channel<Item>(spec.size, { name: this.name })
    this.#senders = [{ real: sender, model: new EndModel() }]
    this.#receivers = [{ real: receiver, model: new EndModel() }]
  }

  differences(): string[] {
    const { model } = this
    return differences(this.#senders[0]!.real.statistics(), {
      size: model.items.length,
      senders: model.senders,
      receivers: model.receivers,
      tasksWaitingToSend: model.putters.length,
      tasksWaitingToReceive: model.takers.length,
    })
  }

  override left(): string[] {
    const open = this.#receivers.find(({ model }) => !model.closed)
    for (let left = this.model.items.length; left > 0; left--) received(open?.real.tryReceive())
    return [...super.left(), ...this.lost()]
  }

  protected override inlet(n: number): Inlet {
    const { model } = this
    const { real, model: end } = pick(this.#senders, n)
    return {
      real,
      put: (item) => (end.closed || model.receivers === 0 ? 'ended' : model.put(item)),
      refused: () => fault(end.closed ? 'CEDE_CLOSED' : 'CEDE_BROKEN_CHANNEL'),
      end,
    }
  }

  protected override outlet(n: number): Outlet {
    const { model } = this
    const { real, model: end } = pick(this.#receivers, n)
    return {
      real,
      take: () => (end.closed ? 'ended' : model.take()),
      ended: () => (end.closed ? fault('CEDE_CLOSED') : AT_END),
      end,
    }
  }

  /** Changes the youngest end. */
  protected override otherwise(_name: string, n: number): void {
    const { model } = this
    if (n === 0) this.#clone('sender', this.#senders, () => model.senders++)
    else if (n === 1) this.#clone('receiver', this.#receivers, () => model.receivers++)
    else if (n === 2) this.#closeSender(this.#senders.at(-1)!)
    else this.#closeReceiver(this.#receivers.at(-1)!)
  }

  #clone<R extends { clone(): R }>(which: string, ends: End<R>[], count: () => void): void {
    const { real, model } = ends.at(-1)!
    this.both(
      `clone of a ${which}`,
      () => void ends.push({ real: real.clone(), model: new EndModel() }),
      () => {
        if (model.closed) return fault('CEDE_CLOSED')
        count()
        return DONE
      },
    )
  }

  #closeSender({ real, model: end }: End<Sender<Item>>): void {
    this.both(
      'close of a sender',
      () => real.close(),
      () => this.model.closeSender(end),
    )
  }

  #closeReceiver({ real, model: end }: End<Receiver<Item>>): void {
    this.both(
      'close of a receiver',
      () => real.close(),
      () => this.model.closeReceiver(end),
    )
  }
}

export class BroadcastThing extends Passage<SpecOf<'broadcast'>> {
  readonly broadcast: Broadcast<Item> = new Broadcast<Item>(this.spec.size, {
    slowReaders: this.spec.policy,
    name: this.name,
  })
  readonly model: BroadcastModel = new BroadcastModel(this.name, this.world.expected, this.spec.policy)
  readonly #subscriptions: { readonly real: Subscription<Item>; readonly model: SubscriptionModel }[] = []

  constructor(world: World, spec: SpecOf<'broadcast'>, index: number) {
    super(world, spec, index)
    this.#subscribe()
  }

  get lines(): Line[] {
    return [...this.#subscriptions.map(({ model }) => model.queue.takers), this.model.line]
  }

  differences(): string[] {
    const { broadcast, model } = this
    return [
      ...differences(
        { ...broadcast.statistics(), closed: broadcast.closed },
        {
          subscriptions: model.subscriptions.length,
          full: model.full,
          tasksWaitingToSend: model.line.length,
          closed: model.closed,
        },
      ),
      ...this.#subscriptions.flatMap(({ real, model: { queue, dropped, lagged } }) =>
        differences(real, { size: queue.items.length, dropped, lagged }),
      ),
    ]
  }

  protected override inlet(): Inlet {
    return {
      real: this.broadcast,
      put: (item) => this.model.send(item),
      refused: () => fault('CEDE_CLOSED'),
    }
  }

  protected override outlet(n: number): Outlet {
    const { real, model: from } = pick(this.#subscriptions, n)
    return {
      real,
      take: () => (from.closed ? 'ended' : this.model.take(from)),
      ended: () => {
        if (from.closed) return fault('CEDE_CLOSED')
        return from.lagged ? fault('CEDE_LAGGED') : AT_END
      },
    }
  }

  protected override otherwise(name: string, n: number): void {
    if (name !== 'subscribe') this.#close(n)
    else if (this.#subscriptions.length < 3) this.#subscribe()
  }

  #subscribe(): void {
    const { broadcast, model, spec, world } = this
    const name = `${this.name}.${String(this.#subscriptions.length)}`
    const subscription = new SubscriptionModel(new QueueModel(name, world.expected, 'fifo', spec.size))
    this.both(
      'subscribe',
      () => void this.#subscriptions.push({ real: broadcast.subscribe(), model: subscription }),
      () => {
        if (model.closed) return fault('CEDE_CLOSED')
        model.subscriptions.push(subscription)
        return DONE
      },
    )
  }

  /** The whole, or one subscription. */
  #close(n: number): void {
    const { broadcast, model } = this
    if (n === 3) {
      this.both(
        'close',
        () => broadcast.close(),
        () => model.close(),
      )
      return
    }
    const { real, model: from } = pick(this.#subscriptions, n)
    this.both(
      'close of a subscription',
      () => real.close(),
      () => model.unsubscribe(from),
    )
  }
}
