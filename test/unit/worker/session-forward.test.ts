/**
 * A session of which Postgres has more than the store: its owner had projected the events, died, and Redis lost them.
 */
import { expect, test } from 'vitest'
import type { StoredEvent } from '../../../src/bus/bus.js'
import { createMemoryBus } from '../../../src/bus/memory-bus.js'
import type { NewEvent } from '../../../src/protocol/events.js'
import { LOG_START, newSessionId, parseEventId } from '../../../src/protocol/ids.js'
import { newTask, type Session, type TaskUsage } from '../../../src/protocol/session.js'
import { type ForwardStorage, forwardSession } from '../../../src/worker/session-forward.js'
import { idsOf, logOf, submission, TestEdge, TestOwner } from '../../support/bus-actors.js'

const SHARD = 3
const usage: TaskUsage = { promptTokens: 1, completionTokens: 2, cost: 0.5, duration: 7 }
const task = (id: string) => ({ ...newTask({ type: 'general', priority: 'medium', description: id }, new Date(0)), id })

/** A session in the store that has only accepted its spawn and one more command, and what Postgres has of it. */
async function fixture(eventsOf: (sessionId: string) => readonly (NewEvent & { eventId: string })[]) {
  const bus = await createMemoryBus()
  const edge = await TestEdge.open(bus)
  const former = await TestOwner.claim(bus, SHARD, 7)
  const sessionId = newSessionId(SHARD)
  const spawn = {
    type: 'spawn',
    id: sessionId,
    owner: 'ada',
    orchestratorId: 'o',
    sessionType: 'echo',
    task: task('t1'),
  }
  const next = { type: 'execute', id: 'c2', task: task('t2') }
  const pause = { type: 'pause', id: 'p' }
  const waiting = [spawn, next, pause].map((command) =>
    submission(sessionId, edge.name, {
      commandId: command.id,
      type: command.type as 'spawn',
      fresh: command === spawn,
      body: JSON.stringify(command),
    }),
  )
  await former.acceptances(...waiting)
  const stored: StoredEvent[] = eventsOf(sessionId).map((it) => ({ eventId: it.eventId, body: JSON.stringify(it) }))
  const owner = await TestOwner.claim(bus, SHARD, 9)
  const storage: ForwardStorage = {
    lastEvent: async () => parseEventId(stored.at(-1)?.eventId ?? ''),
    pageEvents: async (_id, after, upTo, limit) =>
      stored.filter(({ eventId }) => seq(eventId) > after.seq && seq(eventId) <= upTo.seq).slice(0, limit),
  }
  const forward = async (upTo?: number) => {
    const record = await bus.log.load(sessionId)
    if (!record) throw new Error('the session is not there')
    return (await forwardSession(record, owner.claimed, bus.log, storage, upTo)).events
  }
  return { bus, edge, owner, sessionId, stored, waiting, forward }
}

const seq = (eventId: string): number => parseEventId(eventId)?.seq ?? 0

function sessionOf(id: string, status: Session['status']): Session {
  const memoryContext = { scratchpad: {}, episodic: [], semantic: [] }
  const metrics = { tokensUsed: 0, duration: 0, tasksCompleted: 0, errorsEncountered: 0, averageResponseTime: 0 }
  return {
    id,
    orchestratorId: 'o',
    task: task('t1'),
    type: 'echo',
    status,
    startedAt: 'then',
    memoryContext,
    metrics,
    cost: 0,
  }
}

const firstTask = (sessionId: string): (NewEvent & { eventId: string })[] => {
  const base = { sessionId, timestamp: '2026-01-01T00:00:00.000Z' }
  return [
    {
      ...{ type: 'session_spawned', eventId: '7-1', ...base, status: 'active', metadata: { createdAt: 'then' } },
      session: sessionOf(sessionId, 'active'),
    },
    { type: 'task_executing', eventId: '7-2', ...base, taskId: 't1', task: task('t1'), turn: 1 },
    {
      ...{ type: 'task_completed', eventId: '8-3', ...base, commandId: sessionId, taskId: 't1' },
      ...{ result: { success: true, output: 'é' }, usage },
    },
  ]
}

test('events come back as they were, with what they say of state and waiting commands, and clients see them', async () => {
  const { bus, edge, owner, sessionId, stored, waiting, forward } = await fixture(firstTask)

  expect(await forward()).toBe(3)
  await owner.append(sessionId, 1)

  expect(await logOf(bus, sessionId)).toEqual([...stored, { eventId: '9-4', body: expect.any(String) }])
  const record = await bus.log.load(sessionId)
  expect(record).toMatchObject({
    head: '9-4',
    status: 'active',
    inbox: [waiting[1]?.body],
    control: [waiting[2]?.body],
  })
  expect(JSON.parse(record?.state ?? '')).toMatchObject({
    ...{ owner: 'ada', turn: 1, cancelled: [] },
    session: { status: 'active', cost: 0.5, metrics: { tasksCompleted: 1, tokensUsed: 3 } },
  })
  const [first] = waiting
  if (!first) throw new Error('a spawn')
  expect(await owner.acceptances(first)).toMatchObject([{ status: 'dup', detail: '8-3' }])
  await expect.poll(() => idsOf(edge.events(sessionId))).toEqual(['7-1', '7-2', '8-3', '9-4'])
})

test('it goes no further than to the event behind which somebody remembers the rest', async () => {
  const { bus, sessionId, forward } = await fixture(firstTask)

  expect(await forward(2)).toBe(2)

  const events = await bus.log.events(sessionId, LOG_START, 10)
  expect(events.map(({ eventId }) => parseEventId(eventId)?.seq)).toEqual([1, 2])
})

test('a session that was ended by the lost events is ended, with all that waited', async () => {
  const { bus, forward } = await fixture((sessionId) => {
    const base = { sessionId, timestamp: '2026-01-01T00:00:00.000Z' }
    return [
      ...firstTask(sessionId),
      { type: 'task_cancelled', eventId: '8-4', ...base, commandId: 'c2', taskId: 't2', reason: 'stopped', usage },
      { type: 'session_status_update', eventId: '8-5', ...base, session: sessionOf(sessionId, 'terminated') },
    ]
  })

  expect(await forward()).toBe(5)

  const claimed = await bus.log.claim({ shard: SHARD, owner: 'worker@2', epoch: 10 })
  expect(claimed).toMatchObject({ active: [] })
})

test('a control command that the lost events answered is not obeyed again', async () => {
  const { bus, sessionId, forward } = await fixture((id) => {
    const base = { sessionId: id, timestamp: '2026-01-01T00:00:00.000Z', commandId: 'p' }
    return [
      ...firstTask(id),
      { type: 'session_status_update', eventId: '8-4', ...base, session: sessionOf(id, 'paused') },
    ]
  })

  await forward()

  expect(await bus.log.load(sessionId)).toMatchObject({ status: 'paused', control: [] })
})

test('a command that the lost events ended is known when it comes again, also when it was forgotten altogether', async () => {
  const { bus, owner, edge, sessionId, forward } = await fixture((id) => {
    const base = { sessionId: id, timestamp: '2026-01-01T00:00:00.000Z', taskId: 't1' }
    const ended = { ...base, commandId: 'forgotten', result: { success: true, output: '' }, usage } as const
    return [...firstTask(id), { type: 'task_completed', eventId: '8-4', ...ended }]
  })

  await forward()

  const again = submission(sessionId, edge.name, { commandId: 'forgotten' })
  expect(await owner.acceptances(again)).toMatchObject([{ status: 'dup', detail: '8-4' }])
  expect(await bus.log.load(sessionId)).toMatchObject({ inbox: [expect.stringContaining('c2')] })
})

test('a command that the lost events ended and that was accepted anew behind others is passed over', async () => {
  const { bus, sessionId, waiting, forward } = await fixture((id) => {
    const base = { sessionId: id, timestamp: '2026-01-01T00:00:00.000Z', taskId: 't2' }
    const ended = { ...base, commandId: 'c2', result: { success: true, output: '' }, usage } as const
    return [...firstTask(id).slice(0, 2), { type: 'task_completed', eventId: '8-3', ...ended }]
  })

  await forward()

  const record = await bus.log.load(sessionId)
  expect(record?.inbox).toEqual([waiting[0]?.body, waiting[1]?.body])
  expect(JSON.parse(record?.state ?? '')).toMatchObject({ cancelled: ['c2'] })
})

test('a session of which Postgres has no more stays as it is', async () => {
  const { bus, owner, sessionId, forward } = await fixture(firstTask)
  await owner.append(sessionId, 3)
  const before = await bus.log.load(sessionId)

  expect(await forward()).toBe(0)

  expect(await bus.log.load(sessionId)).toEqual(before)
})

test('events that do not follow what the store has are not taken', async () => {
  const { bus, sessionId, forward } = await fixture((id) => firstTask(id).slice(1))
  const before = await bus.log.load(sessionId)

  await expect(forward()).rejects.toThrow(/where event 1 belongs/)

  expect(await bus.log.load(sessionId)).toEqual(before)
})
