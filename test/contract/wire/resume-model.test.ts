/**
 * Whatever is lost on the way, every watcher gets every event and every byte once and in order. Random steps against a
 * model: a list of events and, for each message, its text.
 */
import { expect, test, vi } from 'vitest'
import type { Bus, OutEntry } from '../../../src/bus/bus.js'
import { createMemoryBus } from '../../../src/bus/memory-bus.js'
import { numbered, type Place, type Receiver, START } from '../../../src/edge/subscription.js'
import { Subscriptions } from '../../../src/edge/subscriptions.js'
import { newMessageId, newNodeId, newSessionId, type SessionId } from '../../../src/protocol/ids.js'
import { type SeededRandom, seededRandom } from '../../support/random.js'
import { EventsInMemory } from './edge-fixture.js'
import { ScriptedWorker, streamEnd } from './scripted-worker.js'

const STEPS = 400
/** So small that a burst overruns it: the outbox is then reopened under a new name. */
const OUT_ENTRIES = 24
const LETTERS = ['a', 'é', '漢', '🙂', ' ']

/** What is true. */
class Model {
  seq = 0
  open: { messageId: string; text: string } | undefined
  readonly texts = new Map<string, string>()
}

/** The fields that the frames of this test have, each on its own types. */
interface WireFrame {
  readonly type: string
  readonly eventId: string
  readonly reset: boolean
  readonly messageId: string
  readonly text: string
  readonly data: { readonly messageId: string; readonly offset: number; readonly chunk: string }
}

/** A client that checks every frame against the model when it arrives. */
class Watcher implements Receiver {
  room = true
  /** What it has; undefined until it is subscribed. */
  place: Place | undefined
  resets = 0

  constructor(private readonly model: Model) {}

  hasRoom(): boolean {
    return this.room
  }

  /** What the edge was wrong about first; thrown at it, the edge would take it for a fault of the store. */
  fault: unknown

  push(frame: string): void {
    try {
      this.check(JSON.parse(frame) as WireFrame)
    } catch (error) {
      this.fault ??= error
    }
  }

  private check(message: WireFrame): void {
    if (message.type === 'subscribed') this.subscribed(message)
    else if (message.type === 'stream_chunk') this.chunk(message.data)
    else this.event(message)
  }

  private subscribed({ eventId, reset }: WireFrame): void {
    if (reset) this.resets += 1
    this.place ??= { ...START, seq: Number(eventId.split('-')[1]), epoch: 1 }
  }

  private event(event: WireFrame): void {
    const place = this.have()
    expect(event.eventId).toBe(`1-${place.seq + 1}`)
    if (event.type === 'stream_end') {
      const have = place.messageId === event.messageId ? place.offset : 0
      expect(have).toBe(Buffer.byteLength(event.text))
    }
    this.place = { ...place, epoch: 1, seq: place.seq + 1 }
  }

  private chunk(data: WireFrame['data']): void {
    const place = this.have()
    const have = place.messageId === data.messageId ? place.offset : 0
    expect(data.offset).toBe(have)
    const bytes = Buffer.byteLength(data.chunk)
    const whole = Buffer.from(this.model.texts.get(data.messageId) ?? '')
    expect(data.chunk).toBe(whole.toString('utf8', have, have + bytes))
    this.place = { ...place, messageId: data.messageId, offset: have + bytes }
  }

  private have(): Place {
    if (!this.place) throw new Error('a frame came before `subscribed`')
    return this.place
  }
}

class World {
  readonly model = new Model()
  readonly events = new EventsInMemory()
  readonly watchers: Watcher[] = []
  lossy = true
  lost = 0
  reopened = 0

  private constructor(
    readonly bus: Bus,
    readonly worker: ScriptedWorker,
    readonly sessionId: SessionId,
    readonly random: SeededRandom,
    readonly subscriptions: Subscriptions,
  ) {}

  static async create(random: SeededRandom): Promise<World> {
    const bus = await createMemoryBus({ outEntries: OUT_ENTRIES })
    const worker = new ScriptedWorker(bus)
    await worker.start(1)
    const sessionId = newSessionId(0)
    const events = new EventsInMemory()
    const trace = { debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn() }
    const wake = async () => undefined
    const subscriptions = new Subscriptions({ log: bus.log, events, snapshot: async () => undefined, wake, trace })
    const world = new World(bus, worker, sessionId, random, subscriptions)
    Object.assign(world, { events })
    const outbox = await bus.outboxes.open(newNodeId('edge'), {
      onEntries: (entries) => {
        for (const entry of entries) world.route(entry)
      },
      onReopened: (name) => {
        world.reopened += 1
        subscriptions.reopened(name)
      },
    })
    subscriptions.start(outbox.name)
    const spawn = { id: sessionId, type: 'spawn', orchestratorId: 'o', sessionType: 'echo', createdAt: '', task: {} }
    await bus.commands.submit({
      ...{ sessionId, commandId: sessionId, type: 'spawn', tenant: 'acme', fresh: true },
      ...{ outbox: outbox.name, body: JSON.stringify(spawn) },
    })
    await vi.waitFor(async () => expect((await bus.log.peek(sessionId))?.head).toBe('1-1'))
    world.model.seq = 1
    return world
  }

  route(entry: OutEntry): void {
    if (entry.kind === 'acceptances' || entry.kind === 'awake') return
    if (this.lossy && this.random.next() < 0.15) {
      this.lost += 1
      return
    }
    this.subscriptions.deliver(this.sessionId, entry.kind === 'text' ? [entry] : entry.events.map(numbered))
  }

  async step(): Promise<void> {
    await this.random.pick([
      () => this.append(),
      () => this.append(),
      () => this.stream(),
      () => this.stream(),
      () => this.stream(),
      () => this.burst(),
      () => this.endMessage(),
      () => this.trim(),
      () => this.join(),
      () => this.leave(),
      () => this.toggleRoom(),
      () => new Promise<void>((resolve) => setImmediate(resolve)),
    ])()
  }

  async append(): Promise<void> {
    const count = this.random.integer(1, 4)
    this.model.seq += count
    await this.worker.append(
      this.sessionId,
      Array.from({ length: count }, () => ({ type: 'session_status_update', session: {} })),
    )
  }

  async stream(): Promise<void> {
    if (!this.model.open) {
      const messageId = newMessageId()
      this.model.open = { messageId, text: '' }
      this.model.texts.set(messageId, '')
      this.model.seq += 1
      await this.worker.append(this.sessionId, [{ type: 'stream_start', messageId, metadata: { model: 'm' } }])
      return
    }
    const { open } = this.model
    const piece = Array.from({ length: this.random.integer(1, 6) }, () => this.random.pick(LETTERS)).join('')
    const offset = Buffer.byteLength(open.text)
    open.text += piece
    this.model.texts.set(open.messageId, open.text)
    await this.worker.flush(this.sessionId, open.messageId, offset, piece)
  }

  /** More than the outbox takes before it is read. */
  async burst(): Promise<void> {
    for (let count = 0; count < OUT_ENTRIES + 4; count++) await this.append()
  }

  async endMessage(): Promise<void> {
    const { open } = this.model
    if (!open) return
    this.model.open = undefined
    this.model.seq += 1
    await this.worker.append(this.sessionId, [streamEnd(open.messageId, open.text)], { clearPart: true })
  }

  async trim(): Promise<void> {
    this.events.stored.set(this.sessionId, [
      ...(this.events.stored.get(this.sessionId) ?? []),
      ...(await this.unstored()),
    ])
    await this.worker.trim(this.sessionId, this.random.integer(0, 5))
  }

  async unstored(): Promise<{ eventId: string; body: string }[]> {
    const last = this.events.stored.get(this.sessionId)?.at(-1)?.eventId ?? '0-0'
    const seq = Number(last.split('-')[1])
    const logged = await this.bus.log.events(this.sessionId, '0-0', 100_000)
    return logged.filter(({ eventId }) => Number(eventId.split('-')[1]) > seq)
  }

  /** From the start, from now, or from where another watcher is. */
  join(): void {
    if (this.watchers.length >= 6) return
    const watcher = new Watcher(this.model)
    const other = this.watchers.length > 0 ? this.random.pick(this.watchers).place : undefined
    const from = this.random.pick([START, 'now' as const, other ?? START])
    if (from !== 'now') watcher.place = from
    this.watchers.push(watcher)
    void this.subscriptions.subscribe(this.sessionId, watcher, from, { requestId: undefined })
  }

  leave(): void {
    const gone = this.watchers.length > 3 ? this.watchers.shift() : undefined
    if (gone) this.subscriptions.forget(gone)
  }

  toggleRoom(): void {
    if (this.watchers.length === 0) return
    const watcher = this.random.pick(this.watchers)
    watcher.room = !watcher.room
    if (watcher.room) this.subscriptions.roomAgain(watcher)
  }

  async settle(): Promise<void> {
    this.lossy = false
    for (const watcher of this.watchers) {
      watcher.room = true
      this.subscriptions.roomAgain(watcher)
    }
    await this.endMessage()
    await this.append()
    for (const { fault } of this.watchers) if (fault) throw fault
    const seqs = (): (number | undefined)[] => this.watchers.map(({ place }) => place?.seq)
    await vi.waitFor(() => expect(seqs()).toEqual(this.watchers.map(() => this.model.seq)), { timeout: 30_000 })
  }
}

test.each([1, 2, 3, 4, 5, 6])(
  'watcher number %i of a lossy outbox gets every event and byte once',
  async (run) => {
    const random = seededRandom(`lossy outbox ${run}`)
    const world = await World.create(random)

    for (let step = 0; step < STEPS; step++) {
      await world.step()
      // Most steps are seen before the next one; the others pile up.
      if (random.next() < 0.7) await new Promise<void>((resolve) => setImmediate(resolve))
    }
    await world.settle()

    expect(world.watchers.length).toBeGreaterThan(0)
    expect(world.watchers.map(({ resets }) => resets)).toEqual(world.watchers.map(() => 0))
    expect(world.lost, 'entries were lost').toBeGreaterThan(10)
    expect(world.reopened, 'the outbox was reopened').toBeGreaterThan(0)
    world.subscriptions.stop()
    await world.worker.stop()
    await world.bus.stop()
  },
  60_000,
)
