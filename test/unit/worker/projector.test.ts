/**
 * When a worker copies its events into Postgres: together, at once when a transaction is full, and not in a circle while
 * Postgres is away.
 */
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Claim, SessionLog, SmallState } from '../../../src/bus/bus.js'
import type { NewEvent } from '../../../src/protocol/events.js'
import { newSessionId } from '../../../src/protocol/ids.js'
import type { Project } from '../../../src/worker/projection-batch.js'
import { Projector } from '../../../src/worker/projector.js'

const sessionId = newSessionId(0)
const claim: Claim = { shard: 0, owner: 'worker@1', epoch: 3 }
const state = { session: { id: sessionId, status: 'active' }, turn: 1, cancelled: [] } as unknown as SmallState
const FULL = 1_500
const MOST = { events: 4_000, chars: 1_000_000 }

beforeEach(() => vi.useFakeTimers())
afterEach(() => vi.useRealTimers())

function fixture() {
  const projected: number[][] = []
  const failures: Error[] = []
  const project: Project = async (batches) => {
    const failure = failures.shift()
    if (failure) throw failure
    projected.push(batches.flatMap((batch) => batch.events.map((row) => row.seq)))
    return { fenced: [] }
  }
  const warn = vi.fn()
  const logger = { debug: vi.fn(), info: vi.fn(), warn, error: vi.fn() }
  const trimmed: number[] = []
  const trim: SessionLog['trim'] = async (_claim, sessions) => void trimmed.push(...sessions.map((it) => it.seq))
  const log = { trim } as unknown as SessionLog
  const onFull = vi.fn()
  const projector = new Projector({ log, project, logger, onFull, most: MOST })
  let seq = 0
  const add = (count: number, body = '{}', under = claim) => {
    const event = { type: 'session_status_update', sessionId, timestamp: 't' } as unknown as NewEvent
    const events = Array.from({ length: count }, () => event)
    projector.add(under, sessionId, { epoch: 3, firstSeq: seq + 1, events, bodies: events.map(() => body), state })
    seq += count
  }
  return { projector, projected, trimmed, failures, warn, onFull, add }
}

const upTo = (last: number, first = 1): number[] =>
  Array.from({ length: last - first + 1 }, (_, index) => first + index)

test('what comes within an interval goes into one transaction, at its end', async () => {
  const { projected, add } = fixture()

  add(2)
  await vi.advanceTimersByTimeAsync(49)
  add(3)
  expect(projected).toEqual([])
  await vi.advanceTimersByTimeAsync(1)

  expect(projected).toEqual([upTo(5)])
})

test('a full transaction does not wait for the end of the interval', async () => {
  const { projected, add } = fixture()

  add(FULL)
  await vi.advanceTimersByTimeAsync(0)

  expect(projected).toEqual([upTo(FULL)])
})

test('what Postgres did not take is offered again after a pause, full or not, and nothing is lost or doubled', async () => {
  const { projected, failures, warn, add } = fixture()
  failures.push(new Error('away'), new Error('away'))

  add(FULL)
  await vi.advanceTimersByTimeAsync(0)
  add(10)
  await vi.advanceTimersByTimeAsync(499)
  expect(warn).toHaveBeenCalledTimes(1)
  await vi.advanceTimersByTimeAsync(1)
  expect(warn).toHaveBeenCalledTimes(2)
  await vi.advanceTimersByTimeAsync(500)

  expect(projected).toEqual([upTo(FULL + 10)])
  add(1)
  await vi.advanceTimersByTimeAsync(50)
  expect(projected[1]).toEqual([FULL + 11])
})

test('a stop projects what is left', async () => {
  const { projector, projected, add } = fixture()

  add(4)
  await projector.stop()

  expect(projected).toEqual([upTo(4)])
})

test('above its bound no work is taken on, until Postgres has caught up', async () => {
  const { projected, failures, onFull, add } = fixture()
  failures.push(...Array.from({ length: 20 }, () => new Error('away')))

  for (let batch = 0; batch < 4; batch++) add(MOST.events / 4)
  await vi.advanceTimersByTimeAsync(1_000)
  expect(onFull.mock.calls).toEqual([[true]])
  add(10)
  await vi.advanceTimersByTimeAsync(20_000)

  expect(onFull.mock.calls).toEqual([[true], [false]])
  expect(projected.flat()).toEqual(upTo(MOST.events + 10))
})

test('few events that are very large reach the bound too', async () => {
  const { failures, onFull, add } = fixture()
  failures.push(new Error('away'))
  add(2, 'x'.repeat(MOST.chars / 2))
  expect(onFull.mock.calls).toEqual([[true]])
})

test('what is given away with its shard counts no more', async () => {
  const { projector, failures, onFull, add } = fixture()
  failures.push(new Error('away'), new Error('away'))
  add(MOST.events)

  await projector.release([claim])

  expect(onFull.mock.calls).toEqual([[true], [false]])
})

test('what a pinned session writes after its shard was let go tells nobody that what came before is in Postgres', async () => {
  const { projector, projected, trimmed, add } = fixture()
  projector.start()
  add(2)
  await vi.advanceTimersByTimeAsync(1_000)
  expect(trimmed).toEqual([2])

  add(3)
  projector.leave([claim])
  add(1)
  await vi.advanceTimersByTimeAsync(50)
  expect(projected).toEqual([[1, 2], [6]])
  projector.forget(claim, sessionId)
  await vi.advanceTimersByTimeAsync(1_000)
  expect(trimmed).toEqual([2])

  // Dropped, and granted again under the same epoch: this is another claim.
  add(1, '{}', { ...claim })
  await vi.advanceTimersByTimeAsync(50)
  await projector.stop()
  expect(trimmed).toEqual([2, 7])
})

test('what is written under a new claim stays when the former one is let go of only then', async () => {
  const { projector, projected, trimmed, add } = fixture()
  projector.start()
  add(2)
  await vi.advanceTimersByTimeAsync(50)

  add(3, '{}', { ...claim })
  projector.leave([claim])
  await vi.advanceTimersByTimeAsync(50)
  await projector.stop()

  expect(projected).toEqual([
    [1, 2],
    [3, 4, 5],
  ])
  expect(trimmed).toEqual([5])
})

test('what is written while an empty log is read is not forgotten', async () => {
  const stored: { eventId: string; body: string }[] = []
  const reads: (() => void)[] = []
  const log = {
    trim: async () => undefined,
    peek: async () => undefined,
    // The store looks at once, and its answer is on the way until it is let go.
    events: async (_id: string, after: string) => {
      const found = stored.filter(({ eventId }) => Number(eventId.split('-')[1]) > Number(after.split('-')[1]))
      await new Promise<void>((answer) => reads.push(answer))
      return found
    },
  } as unknown as SessionLog
  const projected: number[] = []
  const project: Project = async (batches) => {
    projected.push(...batches.flatMap((batch) => batch.events.map(({ seq }) => seq)))
    return { fenced: [] }
  }
  const logger = { debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn() }
  const projector = new Projector({ log, project, logger, onFull: vi.fn(), most: MOST })
  const write = (seq: number, written: Claim): void => {
    const event = { type: 'session_status_update', sessionId, timestamp: 't' } as unknown as NewEvent
    const body = JSON.stringify(event)
    stored.push({ eventId: `${written.epoch}-${seq}`, body })
    projector.add(written, sessionId, { epoch: written.epoch, firstSeq: seq, events: [event], bodies: [body], state })
  }
  const answerReads = async (): Promise<void> => {
    await vi.advanceTimersByTimeAsync(400)
    for (const answer of reads.splice(0)) answer()
    await vi.advanceTimersByTimeAsync(0)
  }

  projector.adopt(claim, [sessionId])
  await vi.advanceTimersByTimeAsync(50)
  write(1, claim)
  await answerReads()
  await answerReads()
  expect(projected).toEqual([1])

  // Read to its end, and claimed anew under a higher epoch before the answer comes.
  await vi.advanceTimersByTimeAsync(400)
  write(2, { ...claim, epoch: 4 })
  for (let round = 0; round < 3; round++) await answerReads()
  expect(projected).toEqual([1, 2])

  // Read to its end, and freed by the holder of a pin before the answer comes.
  projector.adopt({ ...claim, epoch: 4 }, [sessionId])
  await answerReads()
  await vi.advanceTimersByTimeAsync(400)
  stored.push({ eventId: '4-3', body: JSON.stringify({ type: 'session_status_update', sessionId, timestamp: 't' }) })
  projector.adopt({ ...claim, epoch: 4 }, [sessionId])
  for (let round = 0; round < 3; round++) await answerReads()
  expect(new Set(projected)).toEqual(new Set([1, 2, 3]))
})

test('a worker that fell behind catches up without a pause, with all of its sessions alike', async () => {
  const EACH = 2_600
  const sessions = Array.from({ length: 20 }, () => newSessionId(0))
  const event = (id: string) =>
    ({ type: 'session_status_update', sessionId: id, timestamp: 't' }) as unknown as NewEvent
  const events: SessionLog['events'] = async (id, after, limit) => {
    const from = Number(after.split('-')[1])
    const bodies = upTo(Math.min(EACH, from + limit), from + 1)
    return bodies.map((seq) => ({ eventId: `3-${seq}`, body: JSON.stringify(event(id)) }))
  }
  const peek: SessionLog['peek'] = async () => undefined
  const transactions: { id: string; seq: number }[][] = []
  let isAway = true
  const project: Project = async (batches) => {
    if (isAway) throw new Error('away')
    transactions.push(batches.flatMap((batch) => batch.events.map((row) => ({ id: row.sessionId, seq: row.seq }))))
    return { fenced: [] }
  }
  const logger = { debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn() }
  const log = { events, peek, trim: async () => undefined } as unknown as SessionLog
  const projector = new Projector({ log, project, logger, onFull: vi.fn() })

  for (const id of sessions) {
    const written = Array.from({ length: EACH }, () => event(id))
    projector.add(claim, id, { epoch: 3, firstSeq: 1, events: written, bodies: written.map(() => '{}'), state })
  }
  await vi.advanceTimersByTimeAsync(100)
  isAway = false
  await vi.advanceTimersByTimeAsync(450)

  for (const id of sessions) {
    expect(transactions.flat().flatMap((row) => (row.id === id ? [row.seq] : []))).toEqual(upTo(EACH))
  }
  expect(new Set(transactions.slice(0, 2).flatMap((rows) => rows.map(({ id }) => id))).size).toBe(sessions.length)
  expect(Math.max(...transactions.map((rows) => rows.length))).toBeLessThan(FULL + 100)
})

test('a lone session that was taken over fills a transaction with its log', async () => {
  const limits: number[] = []
  const events: SessionLog['events'] = async (_id, _after, limit) => {
    limits.push(limit)
    return []
  }
  const log = { events, trim: async () => undefined } as unknown as SessionLog
  const logger = { debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn() }
  const projector = new Projector({ log, project: async () => ({ fenced: [] }), logger, onFull: vi.fn() })

  projector.adopt(claim, [sessionId])
  await vi.advanceTimersByTimeAsync(50)

  expect(limits).toEqual([FULL])
})
