/**
 * The journal of the in-process bus: what is written together, what a restart finds, and what a broken disk stops.
 */
import { sql } from 'kysely'
import { beforeAll, beforeEach, expect, test } from 'vitest'
import { LIMITS } from '../../../src/bus/bus.js'
import { type BusJournal, createMemoryBus } from '../../../src/bus/memory-bus.js'
import { newSessionId } from '../../../src/protocol/ids.js'
import type { Database } from '../../../src/storage/database.js'
import { type BusWrite, StandaloneBus } from '../../../src/storage/standalone-bus.js'
import { idsOf, logOf, submission, TestEdge, TestOwner } from '../../support/bus-actors.js'
import { eachDatabase } from '../../support/databases.js'

const SHARD = 2
const TABLES = ['bus_shards', 'bus_sessions', 'bus_commands', 'bus_seen', 'bus_parts', 'bus_timers'] as const

let database: Database

/** The real journal, with its writes counted and, on demand, failing or held up before the disk. */
class WatchedJournal implements BusJournal {
  readonly #inner = new StandaloneBus(database)
  #beforeDisk: () => Promise<void> = async () => undefined
  readonly writes: BusWrite[] = []
  failure: Error | undefined

  load = () => this.#inner.load()

  async write(rows: BusWrite): Promise<void> {
    this.writes.push(rows)
    if (this.failure) throw this.failure
    await this.#beforeDisk()
    await this.#inner.write(rows)
  }

  /** Holds up every write until `release`. */
  hold(): { readonly reached: Promise<void>; readonly release: () => void } {
    let release: () => void = () => undefined
    const released = new Promise<void>((resolve) => {
      release = resolve
    })
    const reached = new Promise<void>((resolve) => {
      this.#beforeDisk = () => {
        resolve()
        return released
      }
    })
    return { reached, release }
  }
}

async function begin() {
  const journal = new WatchedJournal()
  const bus = await createMemoryBus({ journal })
  const edge = await TestEdge.open(bus)
  const owner = await TestOwner.claim(bus, SHARD)
  return { journal, bus, edge, owner }
}

async function countRows(): Promise<Record<string, number>> {
  const counts: Record<string, number> = {}
  for (const table of TABLES) {
    const { rows } = await sql<{ n: number }>`select count(*)::int as n from ${sql.table(table)}`.execute(database.sql)
    counts[table] = rows[0]?.n ?? -1
  }
  return counts
}

async function storedCursor(): Promise<number> {
  const query = sql<{ cursor: string }>`select cursor from bus_shards where shard = ${SHARD}`
  return Number((await query.execute(database.sql)).rows[0]?.cursor)
}

eachDatabase((open) => {
  beforeAll(async () => {
    database = await open()
  })
  beforeEach(async () => {
    await sql`truncate bus_shards, bus_sessions, bus_commands, bus_seen, bus_parts, bus_timers, events`.execute(
      database.sql,
    )
  })

  test('operations that come together share one transaction', async () => {
    const { journal, owner, edge } = await begin()
    const sessions = await Promise.all(Array.from({ length: 20 }, () => owner.spawn(edge.name)))
    const before = journal.writes.length

    await Promise.all(
      sessions.flatMap((id) => [owner.flush(id, 'msg_1', 0, 'x'), owner.commit(owner.change(id, 0, 1))]),
    )

    expect(journal.writes.length - before).toBe(1)
    expect(journal.writes.at(-1)?.events).toHaveLength(20)
  })

  test('nothing is answered or shown before the transaction has committed', async () => {
    const { journal, bus, owner, edge } = await begin()
    const sessionId = await owner.spawn(edge.name)
    const disk = journal.hold()
    const answers: string[] = []

    const committing = owner.commit(owner.change(sessionId, 0, 1)).then(() => answers.push('commit'))
    const reading = bus.log.peek(sessionId).then((head) => answers.push(`head ${head?.head}`))
    await disk.reached
    await new Promise((resolve) => setImmediate(resolve))

    expect(answers).toEqual([])
    expect(edge.events(sessionId)).toEqual([])
    disk.release()
    await Promise.all([committing, reading])
    expect(answers).toEqual(['commit', 'head 1-1'])
    await expect.poll(() => idsOf(edge.events(sessionId))).toEqual(['1-1'])
  })

  test('an edge that resumes while a commit waits for the disk gets its events once', async () => {
    const { journal, bus, owner, edge } = await begin()
    const sessionId = await owner.spawn('spawner@1-1')
    const disk = journal.hold()

    const committing = owner.commit(owner.change(sessionId, 0, 2))
    const resuming = bus.log.resume(sessionId, edge.name, '0-0', 10)
    disk.release()
    const resumed = await resuming
    await committing
    await owner.append(sessionId, 1)

    expect(resumed.status === 'ok' && idsOf(resumed.events)).toEqual(['1-1', '1-2'])
    await expect.poll(() => edge.events(sessionId).length).toBeGreaterThan(0)
    expect(idsOf(edge.events(sessionId))).toEqual(['1-3'])
  })

  test('a restart finds inbox, control, part, ids and the work list', async () => {
    const { bus, owner, edge } = await begin()
    const sessionId = await owner.spawn(edge.name)
    const idle = await owner.spawn(edge.name)
    const [execute, stop] = [submission(sessionId, edge.name), submission(sessionId, edge.name, { type: 'stop' })]
    await owner.acceptances(execute, stop)
    await owner.append(sessionId, 3, {
      popInbox: 1,
      ended: [{ commandId: sessionId, eventId: '1-2' }],
      state: '{"turn":1}',
    })
    await owner.flush(sessionId, 'msg_0', 0, 'gone')
    await owner.flush(sessionId, 'msg_1', 0, 'half ')
    await owner.flush(sessionId, 'msg_1', 5, 'a \u0000 \ud83d')
    await owner.append(idle, 2, { popInbox: 1 })
    await owner.trim(idle, 2, 2)
    const before = await bus.log.load(sessionId)
    await bus.stop()

    const again = await createMemoryBus({ journal: new StandaloneBus(database) })

    expect(await again.log.load(sessionId)).toEqual(before)
    expect(idsOf(await logOf(again, sessionId))).toEqual(['1-1', '1-2', '1-3'])
    expect(await again.log.claim(owner.claimed)).toMatchObject({
      status: 'ok',
      active: [sessionId],
      unprojected: [sessionId],
      pins: [],
      cold: [],
    })
    const next = await TestOwner.claim(again, SHARD)
    const [known, knownStop] = await next.acceptances(
      submission(sessionId, edge.name, { commandId: sessionId }),
      submission(sessionId, edge.name, { type: 'stop', commandId: stop.commandId }),
    )
    expect([known?.detail, knownStop?.status]).toEqual(['1-2', 'dup'])
    // Its events are all projected and nothing waits: Postgres has them, the bus need not.
    expect(await again.log.load(idle)).toMatchObject({ head: '1-2', floor: '1-2' })
    await again.stop()
  })

  test('the cursor goes on where it stood, and numbers of commands that were never accepted are given again', async () => {
    const { bus, owner, edge } = await begin()
    const sessionId = await owner.spawn(edge.name)
    await owner.acceptances(...Array.from({ length: 5 }, () => submission(sessionId, edge.name)))
    const cursor = await storedCursor()
    await bus.commands.submit(submission(sessionId, edge.name))
    await bus.stop()

    const again = await createMemoryBus({ journal: new StandaloneBus(database) })
    const next = await TestOwner.claim(again, SHARD, 2)
    const fresh = submission(sessionId, edge.name)
    const accepted = await next.acceptances(fresh)

    expect(accepted).toEqual([{ sessionId, commandId: fresh.commandId, status: 'new', detail: '' }])
    expect([cursor, await storedCursor()]).toEqual([6, 7])
    await again.stop()
  })

  test('rows of what has ended do not stay', async () => {
    const { bus, owner, edge } = await begin()
    const sessionId = await owner.spawn(edge.name)
    for (let round = 0; round < 2 * LIMITS.seenCommands; round += 50) {
      await owner.acceptances(...Array.from({ length: 50 }, () => submission(sessionId, edge.name)))
      await owner.flush(sessionId, `msg_${round}`, 0, 'text')
      await owner.append(sessionId, 1, { popInbox: round === 0 ? 51 : 50, clearPart: true })
    }

    const counts = await countRows()

    expect(counts).toMatchObject({ bus_sessions: 1, bus_commands: 0, bus_parts: 0 })
    expect(counts.bus_seen).toBeGreaterThanOrEqual(LIMITS.seenCommands)
    expect(counts.bus_seen).toBeLessThan(2 * LIMITS.seenCommands)
    await bus.stop()
  })

  test('a failed transaction fails all of its group and stops the bus', async () => {
    const { journal, bus, owner, edge } = await begin()
    const [first, second] = [await owner.spawn(edge.name), await owner.spawn(edge.name)]
    await expect.poll(() => edge.acceptances()).toHaveLength(2)
    journal.failure = new Error('no space left on device')

    const results = await Promise.allSettled([
      owner.commit(owner.change(first, 0, 1)),
      owner.flush(second, 'msg_1', 0, 'text'),
      owner.accept(submission(second, edge.name)),
    ])
    journal.failure = undefined

    for (const result of results) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'unavailable', cause: { message: /space/ } } })
    }
    const refused = { code: 'unavailable' }
    await expect(owner.commit(owner.change(second, 0, 1))).rejects.toMatchObject(refused)
    await expect(bus.log.peek(first)).rejects.toMatchObject(refused)
    await expect(bus.ping()).rejects.toMatchObject(refused)
    expect(edge.events(first)).toEqual([])
    await bus.stop()
    const again = await createMemoryBus({ journal: new StandaloneBus(database) })
    expect(await again.log.load(first)).toMatchObject({ head: '0-0' })
  })

  test('a stopped bus has written what it took, and takes no more', async () => {
    const { bus, owner, edge } = await begin()
    const sessionId = await owner.spawn(edge.name)
    const committing = owner.commit(owner.change(sessionId, 0, 1))

    await bus.stop()

    expect(await committing).toEqual({ status: 'ok' })
    await expect(owner.commit(owner.change(sessionId, 1, 1))).rejects.toMatchObject({ code: 'unavailable' })
    const again = await createMemoryBus({ journal: new StandaloneBus(database) })
    expect(idsOf(await logOf(again, sessionId))).toEqual(['1-1'])
  })

  test('a restart finds the timers as they were set last, and none that was cleared', async () => {
    const { bus, owner } = await begin()
    const timer = { sessionId: newSessionId(SHARD), name: 'moved', note: 'with "quotes"' }
    const cleared = { ...timer, name: 'cleared' }
    for (const each of [timer, cleared]) await bus.timers.set(owner.claimed, each, 3_600_000)
    // In one group, and the last word counts.
    await Promise.all([
      bus.timers.set(owner.claimed, cleared, 0),
      bus.timers.clear(owner.claimed, cleared),
      bus.timers.set(owner.claimed, timer, 0),
    ])
    await bus.stop()

    const next = await begin()

    expect(await next.bus.timers.due([next.owner.claimed])).toMatchObject([
      { reply: { status: 'ok', timers: [timer] } },
    ])
    await next.bus.stop()
  })
})
