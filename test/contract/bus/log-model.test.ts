/**
 * Random steps of owners, zombies, crashes and edges against a model of the log that is an array. The seed of a failed
 * run is printed; TEST_SEED repeats it.
 */
import { expect, test } from 'vitest'
import type { Bus, Change, Part, Resumed, StoredEvent } from '../../../src/bus/bus.js'
import type { Submission } from '../../../src/bus/command.js'
import type { SessionId } from '../../../src/protocol/ids.js'
import { ARRIVAL, logOf, seqOf, submission, TestEdge, TestOwner } from '../../support/bus-actors.js'
import { type BusFixture, type BusUnderTest, eachBus } from '../../support/bus-fixtures.js'
import { type SeededRandom, seededRandom } from '../../support/random.js'

const RUNS = 4
const STEPS = 300
const SESSIONS = 3
const SHARD = 17
const PAGE = 4

/** What a session's log promises. */
class LogModel {
  readonly events: StoredEvent[] = []
  readonly inbox: string[] = []
  part: Part | undefined
  dropped = 0
  projected = 0
  last: Change | undefined
  head = () => this.idAt(this.events.length)
  floor = () => this.idAt(this.dropped)
  log = () => this.events.slice(this.dropped)
  idAt = (count: number) => this.events[count - 1]?.eventId ?? '0-0'
  isUnprojected = () => this.projected < this.events.length
  partBytes = () => Buffer.byteLength(this.part?.text ?? '')
}

class World {
  readonly history: string[] = []
  readonly models = new Map<SessionId, LogModel>()
  /** Submitted and not accepted. */
  waiting: Submission[] = []
  former: TestOwner | undefined

  private constructor(
    readonly store: BusUnderTest,
    readonly random: SeededRandom,
    public bus: Bus,
    public owner: TestOwner,
    public edge: TestEdge,
  ) {}

  static async begin(fixture: BusFixture, random: SeededRandom): Promise<World> {
    const store = await fixture.open()
    const owner = await TestOwner.claim(store.bus, SHARD)
    const world = new World(store, random, store.bus, owner, await TestEdge.open(store.bus))
    for (let count = 0; count < SESSIONS; count++) {
      const sessionId = await owner.spawn(world.edge.name)
      world.models.set(sessionId, new LogModel())
      await owner.append(sessionId, 0, { popInbox: 1 })
    }
    return world
  }

  pick(): [SessionId, LogModel] {
    return this.random.pick([...this.models])
  }

  async append(): Promise<void> {
    const [sessionId, model] = this.pick()
    const popInbox = this.random.integer(0, model.inbox.length)
    const clearPart = this.random.next() < 0.2
    const seq = model.events.length
    const change = this.owner.change(sessionId, seq, this.random.integer(0, 5), { popInbox, clearPart })
    expect(await this.owner.commit(change)).toEqual({ status: 'ok' })
    const { epoch } = this.owner.claimed
    model.events.push(...change.events.map((body, index) => ({ eventId: `${epoch}-${seq + 1 + index}`, body })))
    model.inbox.splice(0, popInbox)
    if (clearPart) model.part = undefined
    model.last = change
  }

  /** A lost reply: the same commit again, by the owner or by one that lost the shard meanwhile. */
  async resend(): Promise<void> {
    const [, model] = this.pick()
    if (!model.last) return
    const sender = this.random.pick([this.owner, this.former ?? this.owner])
    expect(await sender.commit(model.last)).toEqual({ status: 'ok' })
  }

  async wrongHead(): Promise<void> {
    const [sessionId, model] = this.pick()
    const seq = model.events.length
    const expected = this.random.pick([seq + 1, seq + 7, Math.max(0, seq - 1)])
    if (expected === seq) return
    const committed = await this.owner.commit(this.owner.change(sessionId, expected, 1))
    expect(committed).toEqual({ status: 'head', seq })
  }

  async zombie(): Promise<void> {
    if (!this.former) return
    const [sessionId, model] = this.pick()
    const fenced = { status: 'fenced', epoch: this.owner.claimed.epoch }
    const seq = model.events.length
    expect(await this.former.commit(this.former.change(sessionId, seq, 2, { clearPart: true }))).toEqual(fenced)
    expect(await this.former.flush(sessionId, 'msg_zombie', 0, 'x')).toEqual(fenced)
    const command = submission(sessionId, this.edge.name)
    expect(await this.former.accept(command)).toEqual(fenced)
    this.waiting.push(command)
    await this.former.trim(sessionId, seq, 0)
  }

  async takeOver(): Promise<void> {
    this.former = this.owner
    const epoch = this.owner.claimed.epoch + this.random.integer(1, 3)
    this.owner = await TestOwner.claim(this.bus, SHARD, epoch)
    await this.checkWorkList()
    for (const [sessionId, model] of this.models) await this.checkRecord(sessionId, model)
  }

  async submit(): Promise<void> {
    const [sessionId, model] = this.pick()
    const command = submission(sessionId, this.edge.name)
    const repeat = this.random.next() < 0.3
    const submitted = repeat ? [command, command] : [command]
    const accepted = await this.owner.acceptances(...submitted)
    const all = [...this.waiting, ...submitted]
    expect(accepted.map((it) => it.commandId)).toEqual(all.map((it) => it.commandId))
    expect(accepted.map((it) => it.status)).toEqual([
      ...this.waiting.map(() => 'new'),
      ...(repeat ? ['new', 'dup'] : ['new']),
    ])
    this.takeIn()
    model.inbox.push(command.body)
  }

  takeIn(): void {
    for (const it of this.waiting) this.models.get(it.sessionId)?.inbox.push(it.body)
    this.waiting = []
  }

  async flush(): Promise<void> {
    const [sessionId, model] = this.pick()
    const text = this.random.pick(['a', 'é', '😀', 'some text'])
    const { messageId } =
      model.part && this.random.next() < 0.8 ? model.part : { messageId: `msg_${this.history.length}` }
    const bytes = messageId === model.part?.messageId ? model.partBytes() : 0
    const offset = bytes + this.random.pick([0, 0, 0, 5])
    const flushed = await this.owner.flush(sessionId, messageId, offset, text, model.events.length)
    if (offset > bytes) return expect(flushed).toEqual({ status: 'gap', bytes })
    expect(flushed).toEqual({ status: 'ok' })
    model.part = { messageId, text: (bytes > 0 ? (model.part?.text ?? '') : '') + text }
    expect(await this.owner.flush(sessionId, messageId, offset, text)).toEqual({ status: 'ok' })
  }

  async trim(): Promise<void> {
    const [sessionId, model] = this.pick()
    const total = model.events.length
    const projected = this.random.integer(0, total)
    const keep = this.random.integer(0, 6)
    await this.owner.trim(sessionId, projected, keep)
    model.projected = Math.max(model.projected, projected)
    model.dropped = Math.max(model.dropped, Math.min(total - keep, projected))
  }

  async resume(): Promise<void> {
    const [sessionId, model] = this.pick()
    const count = this.random.integer(0, model.events.length)
    const after = this.random.pick([model.idAt(count), model.head(), 'now', '99-99'])
    const got: StoredEvent[] = []
    const answer = await this.resumeAll(sessionId, after, got)
    const { part } = model
    const isKnown = after === 'now' || (after !== '99-99' && seqOf(after) >= model.dropped)
    if (!isKnown && after !== model.head()) {
      return expect(answer).toEqual({ status: 'below', floor: model.floor(), head: model.head() })
    }
    expect(answer).toMatchObject({ status: 'ok', head: model.head(), part })
    expect(got).toEqual(after === 'now' ? [] : model.events.slice(seqOf(after)))
  }

  async resumeAll(sessionId: SessionId, after: string, got: StoredEvent[]): Promise<Resumed> {
    let answer = await this.bus.log.resume(sessionId, this.edge.name, after, PAGE)
    while (answer.status === 'more') {
      got.push(...answer.events)
      answer = await this.bus.log.resume(sessionId, this.edge.name, got.at(-1)?.eventId ?? '', PAGE)
    }
    if (answer.status === 'ok') got.push(...answer.events)
    return answer
  }

  /** The process ends between two steps; what was answered is there when the store is opened anew. */
  async restart(): Promise<void> {
    if (!this.store.restart) return
    await this.checkShown()
    // What nobody has accepted ends with the edges, if they live in the same process.
    await this.owner.acceptances()
    this.takeIn()
    this.bus = await this.store.restart()
    this.former = undefined
    this.owner = await TestOwner.claim(this.bus, SHARD, this.owner.claimed.epoch)
    this.edge = await TestEdge.open(this.bus)
    for (const [sessionId, model] of this.models) {
      await this.adoptFloor(sessionId, model)
      await this.checkRecord(sessionId, model)
      const position = model.head()
      expect(await this.bus.log.resume(sessionId, this.edge.name, position, PAGE)).toMatchObject({
        status: 'ok',
        events: [],
      })
      this.edge.entries.push({ kind: 'events', sessionId, events: [...model.events] })
    }
    await this.checkWorkList()
  }

  /** A journal leaves the log of a session without unfinished work to Postgres. */
  async adoptFloor(sessionId: SessionId, model: LogModel): Promise<void> {
    const record = await this.bus.log.load(sessionId)
    const isIdle = model.inbox.length === 0 && !model.isUnprojected()
    if (isIdle && record?.floor === model.head()) model.dropped = model.events.length
  }

  async checkRecord(sessionId: SessionId, model: LogModel): Promise<void> {
    const record = await this.bus.log.load(sessionId)
    const { part, inbox } = model
    expect(record).toMatchObject({ head: model.head(), floor: model.floor(), inbox, control: [] })
    expect(record?.part).toEqual(part)
    expect(await logOf(this.bus, sessionId)).toEqual(model.log())
  }

  async checkWorkList(): Promise<void> {
    const found = await this.bus.log.claim(this.owner.claimed)
    const those = (filter: (model: LogModel) => boolean) =>
      [...this.models].filter(([, model]) => filter(model)).map(([id]) => id)
    expect(found.status === 'ok' && [...found.active].sort()).toEqual(those((it) => it.inbox.length > 0).sort())
    expect(found.status === 'ok' && [...found.unprojected].sort()).toEqual(those((it) => it.isUnprojected()).sort())
  }

  /** The edge was subscribed all the time: it has seen every event once, in order. */
  async checkShown(): Promise<void> {
    for (const [sessionId, model] of this.models) {
      await expect.poll(() => this.edge.events(sessionId).length, ARRIVAL).toBeGreaterThanOrEqual(model.events.length)
      expect(this.edge.events(sessionId)).toEqual(model.events)
    }
  }
}

const STEP_WEIGHTS = {
  append: 8,
  resend: 3,
  wrongHead: 1,
  zombie: 2,
  takeOver: 2,
  submit: 4,
  flush: 5,
  trim: 2,
  resume: 4,
  restart: 1,
} as const
type StepName = keyof typeof STEP_WEIGHTS
const STEP_NAMES = Object.keys(STEP_WEIGHTS) as StepName[]
const LOTS = STEP_NAMES.flatMap((name) => Array<StepName>(STEP_WEIGHTS[name]).fill(name))

eachBus((fixture) => {
  test.each(Array.from({ length: RUNS }, (_, run) => run + 1))(
    'after random steps, crashes and takeovers the log is what a plain array would be (run %i)',
    async (run) => {
      const random = seededRandom(`log model, ${fixture.name}, run ${run}`)
      const world = await World.begin(fixture, random)
      try {
        for (let step = 0; step < STEPS; step++) {
          const name = random.pick(LOTS)
          world.history.push(name)
          await world[name]()
        }
        for (const [sessionId, model] of world.models) await world.checkRecord(sessionId, model)
        await world.checkShown()
      } catch (error) {
        console.error(`failed at step ${world.history.length}: … ${world.history.slice(-12).join(', ')}`)
        throw error
      }
    },
  )
})
