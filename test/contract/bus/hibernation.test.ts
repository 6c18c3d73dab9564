/**
 * A session at rest leaves the bus and comes back as it was; commands for one that is not here wait in order until its
 * owner has asked, and each is then decided once.
 */
import { expect, test } from 'vitest'
import { LIMITS } from '../../../src/bus/bus.js'
import { HYDRATE } from '../../../src/bus/command.js'
import type { DormantSession, Whereabouts } from '../../../src/bus/dormant.js'
import { newNodeId, newSessionId, type SessionId } from '../../../src/protocol/ids.js'
import { ARRIVAL, spawnOf, submission, TestEdge, TestOwner } from '../../support/bus-actors.js'
import { eachBus } from '../../support/bus-fixtures.js'

const SHARD = 5
const ABSENT = { status: 'absent' }

eachBus((fixture) => {
  async function begin() {
    const store = await fixture.open()
    const edge = await TestEdge.open(store.bus)
    const owner = await TestOwner.claim(store.bus, SHARD)
    return { store, bus: store.bus, edge, owner }
  }

  /** Spawned by an edge that is gone, with one ended command behind it, projected. */
  async function resting(owner: TestOwner, status: 'active' | 'terminated' = 'active') {
    const sessionId = await owner.spawn('gone@1-1')
    const command = submission(sessionId, 'gone@1-1')
    await owner.acceptances(command)
    const ended = [
      { commandId: sessionId, eventId: '1-1' },
      { commandId: command.commandId, eventId: '1-2' },
    ]
    await owner.append(sessionId, 2, { popInbox: 2, ended, state: '{"turn":1}', status })
    await owner.trim(sessionId, 2, 256)
    return { sessionId, command }
  }

  async function rest(owner: TestOwner, sessionId: SessionId): Promise<DormantSession> {
    const read = await owner.bus.log.rest(owner.claimed, sessionId)
    if (read.status !== 'idle') throw new Error(`the session is ${read.status}`)
    return read.session
  }

  async function hibernated(owner: TestOwner) {
    const about = await resting(owner)
    const session = await rest(owner, about.sessionId)
    expect(await owner.bus.log.hibernate(owner.claimed, session)).toEqual({ status: 'ok' })
    return { ...about, session }
  }

  const hydrate = async (owner: TestOwner, sessionId: SessionId, found: Whereabouts) => {
    const hydrated = await owner.bus.commands.hydrate(owner.claimed, sessionId, found)
    if (hydrated.status !== 'ok') throw new Error(`hydrate was refused: ${hydrated.status}`)
    return hydrated.commands.map((it) => it.acceptance)
  }

  test('a session at rest is read whole, leaves nothing behind, and comes back as it was', async () => {
    const { store, bus, owner } = await begin()
    const { sessionId, command } = await resting(owner)
    const before = await bus.log.load(sessionId)

    const session = await rest(owner, sessionId)
    await bus.log.hibernate(owner.claimed, session)

    expect(session).toMatchObject({ tenant: 'acme', status: 'active', head: '1-2', state: '{"turn":1}', accepted: 2 })
    expect(new Map(session.seen)).toEqual(
      new Map([
        [sessionId, '1-1'],
        [command.commandId, '1-2'],
      ]),
    )
    expect(await bus.log.load(sessionId)).toBeUndefined()
    expect(await bus.log.claim(owner.claimed)).toMatchObject({ active: [], unprojected: [], cold: [] })
    expect(await store.redis?.keysOf(sessionId)).toEqual(store.redis && [])

    expect(await hydrate(owner, sessionId, { kind: 'hibernated', session })).toEqual([])

    expect(await bus.log.load(sessionId)).toEqual({ ...before, floor: '1-2' })
    expect(await rest(owner, sessionId)).toEqual(session)
    await owner.append(sessionId, 1)
    expect((await bus.log.peek(sessionId))?.head).toBe('1-3')
  })

  test('a session with work, an open message, a watcher or unprojected events stays', async () => {
    const { bus, edge, owner } = await begin()
    const statusOf = async (id: SessionId) => (await bus.log.rest(owner.claimed, id)).status
    const { sessionId } = await resting(owner)
    const session = await rest(owner, sessionId)

    await owner.append(sessionId, 1)
    const unprojected = await statusOf(sessionId)
    await owner.trim(sessionId, 3, 0)
    await owner.flush(sessionId, 'msg_1', 0, 'text', 3)
    const streaming = await statusOf(sessionId)
    await owner.append(sessionId, 1, { clearPart: true })
    await owner.trim(sessionId, 4, 0)
    await owner.acceptances(submission(sessionId, edge.name))
    const working = await statusOf(sessionId)
    await owner.append(sessionId, 1, { popInbox: 1 })
    await owner.trim(sessionId, 5, 0)
    await bus.log.resume(sessionId, edge.name, 'now', 10)
    const watched = await statusOf(sessionId)

    expect([unprojected, streaming, working, watched]).toEqual(['unprojected', 'busy', 'busy', 'watched'])
    expect(await bus.log.hibernate(owner.claimed, session)).toEqual({ status: 'watched' })
    await bus.log.unsubscribe(sessionId, edge.name)
    expect(await bus.log.hibernate(owner.claimed, session)).toEqual({ status: 'changed' })
    expect((await bus.log.peek(sessionId))?.head).toBe('1-5')
  })

  test.runIf(fixture.isRedis)('an edge that is gone is unsubscribed from a session that says nothing', async () => {
    const { store, bus, edge, owner } = await begin()
    const sessionId = await owner.spawn(edge.name)
    const gone = await TestEdge.open(bus)
    await bus.log.resume(sessionId, gone.name, 'now', 10)
    const before = await store.redis?.subscribersOf(sessionId)
    await gone.stop()

    await bus.log.dropGoneEdges(owner.claimed, sessionId)

    expect(before).toBe(`${edge.name} ${gone.name}`)
    expect(await store.redis?.subscribersOf(sessionId)).toBe(edge.name)
    expect((await bus.log.load(sessionId))?.inbox).toHaveLength(1)
  })

  test('a command that came and ended without an event between the reading and the dropping keeps the session', async () => {
    const { bus, owner } = await begin()
    const { sessionId } = await resting(owner)
    const session = await rest(owner, sessionId)

    const command = submission(sessionId, 'gone@1-1')
    await owner.acceptances(command)
    await owner.append(sessionId, 0, { popInbox: 1, ended: [{ commandId: command.commandId, eventId: '1-2' }] })

    expect(await bus.log.hibernate(owner.claimed, session)).toEqual({ status: 'changed' })
    expect(new Map((await rest(owner, sessionId)).seen).get(command.commandId)).toBe('1-2')
  })

  test('only the owner may read, drop or bring back', async () => {
    const { bus, owner } = await begin()
    const { sessionId } = await resting(owner)
    const session = await rest(owner, sessionId)
    await TestOwner.claim(bus, SHARD, 4)

    const fenced = { status: 'fenced', epoch: 4 }
    expect(await bus.log.rest(owner.claimed, sessionId)).toEqual(fenced)
    expect(await bus.log.hibernate(owner.claimed, session)).toEqual(fenced)
    expect(await bus.commands.hydrate(owner.claimed, sessionId, { kind: 'unknown' })).toEqual(fenced)
    expect(await bus.log.peek(sessionId)).toBeDefined()
  })

  test('cold commands come in their order, once each, and who repeated or re-sent one hears that', async () => {
    const { bus, edge, owner } = await begin()
    const { sessionId, command, session } = await hibernated(owner)
    const [first, second, stop] = [
      submission(sessionId, edge.name),
      submission(sessionId, edge.name),
      submission(sessionId, edge.name, { type: 'pause' }),
    ]
    await owner.acceptances(first)
    await owner.acceptances(first, second, stop)
    await owner.acceptances(
      submission(sessionId, edge.name, { commandId: command.commandId }),
      spawnOf(sessionId, edge.name, false),
    )

    const decided = await hydrate(owner, sessionId, { kind: 'hibernated', session })

    expect(decided.map((it) => [it.commandId, it.status, it.detail])).toEqual([
      [first.commandId, 'new', ''],
      [second.commandId, 'new', ''],
      [stop.commandId, 'new', ''],
      [command.commandId, 'dup', '1-2'],
      [sessionId, 'dup', '1-1'],
    ])
    const record = await bus.log.load(sessionId)
    expect([record?.inbox, record?.control]).toEqual([[first.body, second.body], [stop.body]])
    expect(await bus.log.claim(owner.claimed)).toMatchObject({ active: [sessionId], cold: [] })
    await expect.poll(() => edge.acceptances().filter((it) => it.status !== 'cold'), ARRIVAL).toEqual(decided)
    await owner.append(sessionId, 1, { popInbox: 2, popControl: 1 })
    expect(edge.events(sessionId)).toEqual([])
  })

  test('what is cold waits for the next owner, and holds up nobody else', async () => {
    const { bus, edge, owner } = await begin()
    const { sessionId, session } = await hibernated(owner)
    const cold = submission(sessionId, edge.name)
    const other = newSessionId(SHARD)
    await owner.acceptances(cold)

    const [alive] = await owner.acceptances(spawnOf(other, edge.name))
    const next = await TestOwner.claim(bus, SHARD, 2)
    const claimed = await bus.log.claim(next.claimed)

    expect(alive?.status).toBe('new')
    expect(claimed).toMatchObject({ active: [other], cold: [{ sessionId, waitedMs: expect.any(Number) }] })
    expect(await hydrate(next, sessionId, { kind: 'hibernated', session })).toMatchObject([{ status: 'new' }])
  })

  test('an old state never replaces a session that is here, and its cold commands are decided by what is here', async () => {
    const { bus, edge, owner } = await begin()
    const { sessionId, session } = await hibernated(owner)
    const found: Whereabouts = { kind: 'hibernated', session }
    await owner.acceptances(submission(sessionId, edge.name))
    await hydrate(owner, sessionId, found)
    await owner.append(sessionId, 3, { popInbox: 1 })

    expect(await hydrate(owner, sessionId, found)).toEqual([])
    expect((await bus.log.peek(sessionId))?.head).toBe('1-5')
  })

  test('a session that has ended is not brought back: its commands hear so, and those it knows hear their end', async () => {
    const { bus, edge, owner } = await begin()
    const { sessionId, command } = await resting(owner, 'terminated')
    const { seen, ...session } = await rest(owner, sessionId)
    await bus.log.hibernate(owner.claimed, { ...session, seen })
    await owner.acceptances(
      submission(sessionId, edge.name),
      submission(sessionId, edge.name, { commandId: command.commandId }),
      spawnOf(sessionId, edge.name, false),
    )

    const decided = await hydrate(owner, sessionId, { kind: 'ended', status: 'terminated', seen })

    expect(decided.map((it) => [it.status, it.detail])).toEqual([
      ['final', 'terminated'],
      ['dup', '1-2'],
      ['dup', '1-1'],
    ])
    expect(await bus.log.rest(owner.claimed, sessionId)).toEqual(ABSENT)
  })

  test('a session that ended with commands in its lists may leave too', async () => {
    const { bus, owner } = await begin()
    const { sessionId } = await resting(owner)
    await owner.acceptances(submission(sessionId, 'gone@1-1'), submission(sessionId, 'gone@1-1', { type: 'stop' }))
    await owner.append(sessionId, 1, { status: 'terminated' })
    await owner.trim(sessionId, 3, 0)

    const session = await rest(owner, sessionId)

    expect(await bus.log.hibernate(owner.claimed, session)).toEqual({ status: 'ok' })
    expect(await bus.log.claim(owner.claimed)).toMatchObject({ active: [], unprojected: [] })
  })

  test.each([
    ['unknown', 'unknown', 'unknown'],
    ['lost', 'unknown', 'dup'],
    ['unavailable', 'unavailable', 'unavailable'],
  ] as const)('commands for a session that is %s hear so', async (kind, toCommand, toSpawn) => {
    const { bus, edge, owner } = await begin()
    const sessionId = newSessionId(SHARD)
    await owner.acceptances(submission(sessionId, edge.name), spawnOf(sessionId, edge.name, false))

    const decided = await hydrate(owner, sessionId, { kind })

    expect(decided.map((it) => it.status)).toEqual([toCommand, toSpawn])
    expect(await bus.log.peek(sessionId)).toBeUndefined()
    expect(await bus.log.claim(owner.claimed)).toMatchObject({ cold: [] })
  })

  test('a spawn that was never accepted creates its session and subscribes its edge, whatever came before it', async () => {
    const { bus, edge, owner } = await begin()
    const sessionId = newSessionId(SHARD)
    const [early, spawn, late] = [
      submission(sessionId, edge.name),
      spawnOf(sessionId, edge.name, false),
      submission(sessionId, edge.name),
    ]
    await owner.acceptances(early, spawn, late)

    const decided = await hydrate(owner, sessionId, { kind: 'unborn' })
    await owner.append(sessionId, 1)

    expect(decided.map((it) => it.status)).toEqual(['unknown', 'new', 'new'])
    expect((await bus.log.load(sessionId))?.inbox).toEqual([spawn.body, late.body])
    await expect.poll(() => edge.events(sessionId).length, ARRIVAL).toBe(1)
    expect((await owner.acceptances(spawn)).map((it) => it.status)).toEqual(['dup'])
  })

  test('an edge that asks for a session is told when it is here, and leaves no trace in it', async () => {
    const { bus, edge, owner } = await begin()
    const { sessionId, session } = await hibernated(owner)
    const question = submission(sessionId, edge.name, { type: HYDRATE, commandId: HYDRATE })
    const isAwake = () => edge.entries.filter((it) => it.kind === 'awake' && it.sessionId === sessionId).length
    await owner.acceptances(question, question)

    expect(await hydrate(owner, sessionId, { kind: 'hibernated', session })).toEqual([])
    await expect.poll(isAwake, ARRIVAL).toBe(1)
    await owner.acceptances(question)

    await expect.poll(isAwake, ARRIVAL).toBe(2)
    expect(edge.acceptances()).toEqual([])
    expect(await rest(owner, sessionId)).toEqual(session)
    expect((await bus.log.load(sessionId))?.inbox).toEqual([])
  })

  test('a shard sets aside so many commands and no more, and has room again when they are decided', async () => {
    const { bus, edge, owner } = await begin()
    const sessions = Array.from({ length: LIMITS.coldCommands / 100 + 1 }, () => newSessionId(SHARD))
    const statuses = new Map<string, number>()
    for (const id of sessions) {
      const commands = Array.from({ length: 100 }, () => submission(id, edge.name))
      for (const it of await owner.acceptances(...commands)) statuses.set(it.status, (statuses.get(it.status) ?? 0) + 1)
    }
    const [large] = sessions

    await hydrate(owner, large ?? '', { kind: 'unknown' })
    const body = 'x'.repeat(LIMITS.coldBytes)
    const again = await owner.acceptances(
      submission(newSessionId(SHARD), edge.name, { body }),
      submission(newSessionId(SHARD), edge.name),
    )

    expect(Object.fromEntries(statuses)).toEqual({ cold: LIMITS.coldCommands, busy: 100 })
    expect(again.map((it) => it.status)).toEqual(['busy', 'cold'])
    const claimed = await bus.log.claim({ ...owner.claimed, owner: newNodeId('worker') })
    expect(claimed.status === 'ok' && claimed.cold.length).toBe(LIMITS.coldCommands / 100)
  })

  test('ids of both generations are remembered over a rest, and the next ones count on', async () => {
    const { owner } = await begin()
    const sessionId = await owner.spawn('gone@1-1')
    const commands = Array.from({ length: LIMITS.seenCommands + 10 }, () => submission(sessionId, 'gone@1-1'))
    for (let at = 0; at < commands.length; at += 100) await owner.acceptances(...commands.slice(at, at + 100))
    await owner.append(sessionId, 1, { popInbox: commands.length + 1 })
    await owner.trim(sessionId, 1, 0)
    const session = await rest(owner, sessionId)
    await owner.bus.log.hibernate(owner.claimed, session)

    await owner.acceptances(...commands.slice(0, 1), ...commands.slice(-5))
    const decided = await hydrate(owner, sessionId, { kind: 'hibernated', session })

    expect([session.seen.length, session.seenBefore.length]).toEqual([11, LIMITS.seenCommands])
    expect(decided.map((it) => it.status)).toEqual(Array(6).fill('dup'))
    const more = Array.from({ length: LIMITS.seenCommands }, () => submission(sessionId, 'gone@1-1'))
    for (let at = 0; at < more.length; at += 100) await owner.acceptances(...more.slice(at, at + 100))
    expect((await owner.acceptances(...more.slice(0, 3))).map((it) => it.status)).toEqual(['dup', 'dup', 'dup'])
  })

  test('what hibernates stays away over a restart, and what came back is there', async () => {
    const { store, owner } = await begin()
    if (!store.restart) return
    const [away, back] = [await hibernated(owner), await hibernated(owner)]
    await hydrate(owner, back.sessionId, { kind: 'hibernated', session: back.session })

    const next = await TestOwner.claim(await store.restart(), SHARD, 2)

    expect(await next.bus.log.rest(next.claimed, away.sessionId)).toEqual(ABSENT)
    expect(await rest(next, back.sessionId)).toEqual(back.session)
  })
})
