/**
 * What an edge's clients must see, over one Redis stream per lane. The stream expires when its edge stops refreshing it,
 * and workers only write to streams that exist: a dead edge is unsubscribed instead of revived.
 */
import type { NodeId } from '../protocol/ids.js'
import { BlockingRead, type StreamBatch, type StreamEntry } from '../redis/blocking-read.js'
import type { RedisClient } from '../redis/connect.js'
import type { Acceptance, EdgeHandlers, EdgeOutbox, EdgeStream, OutEntry } from './bus.js'
import type { Outbox } from './command.js'
import type { Lanes } from './lanes.js'
import { detailOf } from './replies.js'
import { StoreIdentity } from './store-identity.js'

/** An edge that was stalled for longer starts over with a new stream. */
const EXPIRY_MS = 30_000
const REFRESH_MS = 1_000
const BATCH_ENTRIES = 500
/** Words of an acceptance before the command's id. */
const ACCEPTANCE_WORDS = 4

export class RedisEdgeStream implements EdgeStream {
  constructor(
    private readonly redis: RedisClient,
    private readonly lanes: Lanes,
    private readonly connectReader: () => Promise<RedisClient>,
  ) {}

  async open(edge: NodeId, handlers: EdgeHandlers): Promise<EdgeOutbox> {
    const outbox = new RedisOutbox(this.redis, this.lanes, edge, handlers)
    await outbox.start(this.connectReader)
    return outbox
  }
}

class RedisOutbox implements EdgeOutbox {
  #generation = 0
  /** Stream key → id of the last entry handed out. */
  #cursors = new Map<string, string>()
  #reads: BlockingRead[] = []
  #timer: NodeJS.Timeout | undefined
  #reopening: Promise<void> | undefined
  /** True from the moment that entries may be missing until a new stream is there. */
  #lost = false
  #watch: StoreIdentity | undefined
  intactAt = performance.now()

  constructor(
    private readonly redis: RedisClient,
    private readonly lanes: Lanes,
    private readonly edge: NodeId,
    private readonly handlers: EdgeHandlers,
  ) {}

  get name(): Outbox {
    return `${this.edge}-${this.#generation}`
  }

  async start(connect: () => Promise<RedisClient>): Promise<void> {
    await this.#create()
    for (let lane = 0; lane < this.lanes.count; lane++) {
      const read = new BlockingRead({
        client: await connect(),
        cursors: () => this.#cursorOf(lane),
        count: BATCH_ENTRIES,
        onBatches: async (batches) => this.#handOut(batches),
        onLost: () => this.#reopen(),
      })
      this.#reads.push(read)
      read.start()
    }
    this.#timer = setInterval(() => void this.#refresh(), REFRESH_MS)
    // Another server may lack what was read, and put new entries behind the cursor: nothing of that shows in the stream.
    const handlers = { onChanged: () => this.#reopen(), onSame: () => undefined }
    this.#watch = new StoreIdentity(this.redis, this.lanes, handlers)
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#watch?.stop()
    await Promise.all(this.#reads.map((read) => read.stop()))
    await this.#reopening
    // An edge that cannot reach Redis leaves its streams to expire.
    await Promise.all([...this.#cursors.keys()].map((key) => this.redis.unlink(key))).catch(() => undefined)
  }

  #cursorOf(lane: number): ReadonlyMap<string, string> {
    const key = this.lanes.lane(lane).outbox(this.name)
    return new Map([[key, this.#cursors.get(key) ?? '0-0']])
  }

  async #create(): Promise<void> {
    const generation = this.#generation + 1
    const cursors = new Map<string, string>()
    for (let lane = 0; lane < this.lanes.count; lane++) {
      const key = this.lanes.lane(lane).outbox(`${this.edge}-${generation}`)
      cursors.set(key, String(await this.redis.xadd(key, '*', 'open', '')))
      await this.redis.pexpire(key, EXPIRY_MS)
    }
    this.#generation = generation
    this.#cursors = cursors
  }

  /** Keeps the streams alive and drops what was read. */
  async #refresh(): Promise<void> {
    if (this.#reopening) return
    if (this.#lost) return this.#reopen()
    const askedAt = performance.now()
    try {
      const intact = await Promise.all([...this.#cursors].map(([key, cursor]) => this.#refreshOne(key, cursor)))
      if (intact.includes(false)) this.#reopen()
      else this.intactAt = askedAt
    } catch {
      // Redis is away: the blocking read notices too, and reopens when it is back.
    }
  }

  /** False when the stream is gone, or so full that its oldest entries were dropped before they were read. */
  async #refreshOne(key: string, cursor: string): Promise<boolean> {
    const [alive, lastRead] = await Promise.all([
      this.redis.pexpire(key, EXPIRY_MS),
      this.redis.xrange(key, cursor, cursor),
      // Keeps the entry at the cursor: while it is there, nothing behind it can have been dropped.
      this.redis.xtrim(key, 'MINID', '~', cursor),
    ])
    return alive === 1 && lastRead.length === 1
  }

  #reopen(): void {
    this.#lost = true
    const former = [...this.#cursors.keys()]
    this.#reopening ??= this.#create()
      .then(async () => {
        this.#lost = false
        this.handlers.onReopened(this.name)
        // Workers unsubscribe a stream that is gone with their next write.
        await Promise.all(former.map((key) => this.redis.unlink(key)))
      })
      // Redis is away again; the next refresh tries once more.
      .catch(() => undefined)
      .finally(() => {
        this.#reopening = undefined
      })
  }

  #handOut(batches: readonly StreamBatch[]): void {
    for (const [key, entries] of batches) {
      const last = entries.at(-1)
      // Of a former generation: its subscriptions resume from their clients' positions.
      if (!last || !this.#cursors.has(key)) continue
      this.#cursors.set(key, last[0])
      this.handlers.onEntries(entries.flatMap(outEntries))
    }
  }
}

/**
 * Reads an entry as the scripts write it, value after value: a line of words that names its kind, then what belongs to it.
 * `a` an acceptance (accept.lua, hydrate.lua) · `w` a session that was asked for · `e` events of one session (commit.lua) · `t` a piece of text (flush.lua).
 */
function outEntries([, fields]: StreamEntry): OutEntry[] {
  const entries: OutEntry[] = []
  const acceptances: Acceptance[] = []
  for (let at = 0; at < fields.length; ) {
    const line = fields[at++] ?? ''
    if (line.startsWith('a ')) acceptances.push(acceptance(line))
    else if (line.startsWith('w ')) entries.push({ kind: 'awake', sessionId: line.slice(2) })
    else if (line.startsWith('t ')) entries.push(textEntry(line, fields[at++] ?? ''))
    else if (line.startsWith('e ')) {
      const [, sessionId = '', firstId = '', count] = line.split(' ')
      entries.push({ kind: 'events', sessionId, events: numbered(firstId, fields.slice(at, at + Number(count))) })
      at += Number(count)
    }
  }
  if (acceptances.length > 0) entries.push({ kind: 'acceptances', acceptances })
  return entries
}

/** The command's id stands last: it is the client's own, and may hold spaces. */
function acceptance(line: string): Acceptance {
  const [, sessionId = '', status, detail = ''] = line.split(' ', ACCEPTANCE_WORDS)
  const commandId = line.slice(`a ${sessionId} ${status} ${detail} `.length)
  return { sessionId, commandId, status: status as Acceptance['status'], detail: detailOf(detail) }
}

function textEntry(line: string, json: string): OutEntry {
  const [, sessionId = '', messageId = '', offset, bytes, headSeq] = line.split(' ')
  const place = { offset: Number(offset), bytes: Number(bytes), headSeq: Number(headSeq) }
  return { kind: 'text', sessionId, messageId, ...place, json }
}

/** Events of one commit share its epoch and are numbered upward from the first. */
function numbered(firstId: string, bodies: readonly string[]): { eventId: string; body: string }[] {
  const [epoch, first] = firstId.split('-')
  return bodies.map((body, index) => ({ eventId: `${epoch}-${Number(first) + index}`, body }))
}
