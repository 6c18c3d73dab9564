import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test, vi } from 'vitest'
import {
  type Change,
  type Committed,
  LIMITS,
  type SessionLog,
  type SmallState,
  type TextFlush,
} from '../../../src/bus/bus.js'
import { newSessionId } from '../../../src/protocol/ids.js'
import { EventBatch } from '../../../src/worker/event-batch.js'
import { WriterLost } from '../../../src/worker/writer-lost.js'

const sessionId = newSessionId(0)
const claim = { shard: 0, owner: 'worker@1', epoch: 3 }
const state = { session: {}, turn: 1, cancelled: [] } as unknown as SmallState

/** A log that remembers what it was given; `refuse` makes the next writes fail or be refused. */
function recordingLog() {
  const changes: Change[] = []
  const flushes: TextFlush[] = []
  const answers: (() => Committed)[] = []
  const log = {
    commit: async (_claim: unknown, change: Change) => {
      changes.push(change)
      return (answers.shift() ?? (() => ({ status: 'ok' }) as const))()
    },
    flush: async (_claim: unknown, flush: TextFlush) => {
      flushes.push(flush)
      return { status: 'ok' }
    },
  } as unknown as SessionLog
  return { log, changes, flushes, answers }
}

function open(log: SessionLog, part?: { messageId: string; text: string }) {
  const onLost = vi.fn<(error: WriterLost) => void>()
  const restore = vi.fn(async () => true)
  const interval = { ms: 20, kept: vi.fn<(lateMs: number) => void>() }
  const place = { log, claim, interval, sessionId, headSeq: 10, part, lastCommit: 'w-9' }
  return { batch: new EventBatch({ ...place, restore, onWritten: () => undefined, onLost }), onLost, restore, interval }
}

const entry = (text: string, more = {}) => ({
  events: [
    { type: 'task_cancelled', sessionId, timestamp: 't', taskId: 't', reason: text, usage: {} as never },
  ] as const,
  status: 'active' as const,
  state,
  ...more,
})

test('what is appended in one step goes out in one commit, numbered after the head', async () => {
  const { log, changes } = recordingLog()
  const { batch } = open(log)

  await Promise.all([
    batch.append(entry('a', { popInbox: 1, ended: ['c1'] })),
    batch.append(entry('b', { popControl: 1 })),
  ])

  expect(changes).toHaveLength(1)
  expect(changes[0]).toMatchObject({ expectedSeq: 10, popInbox: 1, popControl: 1 })
  expect(changes[0]?.ended).toEqual([{ commandId: 'c1', eventId: '3-11' }])
  expect(changes[0]?.events.map((body) => JSON.parse(body).eventId)).toEqual(['3-11', '3-12'])
})

test('a commit stays within its bounds, and a single larger entry goes alone', async () => {
  const { log, changes } = recordingLog()
  const { batch } = open(log)
  const many = Array.from({ length: LIMITS.eventsPerCommit + 1 }, (_, i) => batch.append(entry(`${i}`)))
  const large = batch.append(entry('x'.repeat(LIMITS.charsPerCommit + 1)))

  await Promise.all([...many, large])

  expect(changes.map((change) => change.events.length)).toEqual([LIMITS.eventsPerCommit, 1, 1])
  expect(changes.map((change) => change.expectedSeq)).toEqual([10, 74, 75])
})

test('a write whose reply is lost is sent again under the same id', async () => {
  const { log, changes, answers } = recordingLog()
  answers.push(() => {
    throw new Error('Connection is closed.')
  })
  const { batch } = open(log)

  await batch.append(entry('a'))

  expect(changes).toHaveLength(2)
  expect(changes[1]).toEqual(changes[0])
})

test('a fenced writer fails what waits, once, and takes nothing more', async () => {
  const { log, changes, answers } = recordingLog()
  answers.push(() => ({ status: 'fenced', epoch: 4 }))
  const { batch, onLost } = open(log)

  const results = await Promise.allSettled([batch.append(entry('a')), batch.append(entry('b'))])
  await expect(batch.append(entry('late'))).rejects.toBeInstanceOf(WriterLost)

  expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  expect(onLost).toHaveBeenCalledExactlyOnceWith(expect.objectContaining({ reason: 'fenced' }))
  expect(changes).toHaveLength(1)
})

test('text is written before the event that was appended after it, and continues the open message', async () => {
  const { log, changes, flushes } = recordingLog()
  const { batch } = open(log, { messageId: 'm', text: 'é' })
  batch.openMessage('m')

  batch.text('a')
  batch.text('b')
  await batch.append(entry('end', { clearPart: true }))

  expect(flushes.map(({ offset, headSeq }) => ({ offset, headSeq }))).toEqual(
    flushes.map((_, index) => ({ offset: 2 + index, headSeq: 10 })),
  )
  expect(flushes.map(({ text }) => text).join('')).toBe('ab')
  expect(changes).toHaveLength(1)
})

test('half of a character waits for its other half', async () => {
  const { log, flushes } = recordingLog()
  const { batch } = open(log)
  batch.openMessage('m')
  const [high, low] = '😀'.split('')

  batch.text(`a${high}`)
  await sleep(30)
  await batch.append(entry('in between'))
  batch.text(`${low}b`)
  await batch.append(entry('end', { clearPart: true }))

  expect(flushes.map(({ text }) => text).join('')).toBe('a😀b')
  expect(flushes.filter(({ text }) => Buffer.from(text).toString() !== text)).toEqual([])
})

test('how late text is kept is told with every flush, its gathering not counted', async () => {
  const { log, flushes } = recordingLog()
  const slow: SessionLog = {
    ...log,
    flush: async (...about) => {
      await sleep(30)
      return log.flush(...about)
    },
  }
  const { batch, interval } = open(slow)
  batch.openMessage('m')

  batch.text('a')
  await sleep(40)
  batch.text('b')
  batch.text('c')
  await batch.append(entry('end', { clearPart: true }))

  expect(interval.kept).toHaveBeenCalledTimes(flushes.length)
  for (const [lateMs] of interval.kept.mock.calls) expect(lateMs).toBeGreaterThanOrEqual(29)
})

test('a piece that was held back says for how long', async () => {
  const { log, flushes } = recordingLog()
  const { batch } = open(log)
  batch.openMessage('m')

  batch.text('a')
  batch.text('b')
  await expect.poll(() => flushes.length).toBe(2)

  const said = flushes.map(({ json }) => JSON.parse(json).data.metadata)
  expect(said[0]).toEqual({ tokens: 1 })
  expect(said[1]).toEqual({ tokens: 1, gatheredMs: expect.toSatisfy((ms: number) => ms >= 1 && ms <= 20) })
})

test('each commit names the one before it', async () => {
  const { log, changes } = recordingLog()
  const { batch } = open(log)

  await batch.append(entry('a'))
  await batch.append(entry('b'))

  expect(changes.map(({ after }) => after)).toEqual(['w-9', changes[0]?.commitId])
})

const LOSSES: readonly Committed[] = [
  { status: 'head', seq: 7 },
  { status: 'head', seq: 10 },
  { status: 'rollback', epoch: 2 },
  { status: 'corrupt' },
]

test.each(LOSSES)('a commit that meets a store without its past waits for it, and is sent again: %o', async (reply) => {
  const { log, changes, answers } = recordingLog()
  answers.push(() => reply)
  const { batch, restore, onLost } = open(log)

  await batch.append(entry('a'))

  expect(restore).toHaveBeenCalledOnce()
  expect(changes).toHaveLength(2)
  expect(changes[1]).toEqual(changes[0])
  expect(onLost).not.toHaveBeenCalled()
})

test('a head above ours is no loss: somebody else writes, and this writer stops', async () => {
  const { log, answers } = recordingLog()
  answers.push(() => ({ status: 'head', seq: 11 }))
  const { batch, restore } = open(log)

  await expect(batch.append(entry('a'))).rejects.toMatchObject({ reason: 'head' })

  expect(restore).not.toHaveBeenCalled()
})

test('a store that still lacks the past after some restores has lost it', async () => {
  const { log, changes, answers } = recordingLog()
  for (let tries = 0; tries < 10; tries++) answers.push(() => ({ status: 'head', seq: 7 }))
  const { batch, restore, onLost } = open(log)

  await expect(batch.append(entry('a'))).rejects.toMatchObject({ reason: 'head' })

  expect(restore).toHaveBeenCalledTimes(3)
  expect(changes).toHaveLength(4)
  expect(onLost).toHaveBeenCalledOnce()
})

test('a writer stops when the shard turns out to be another worker’s', async () => {
  const { log, answers } = recordingLog()
  answers.push(() => ({ status: 'rollback', epoch: 2 }))
  const { batch, restore } = open(log)
  restore.mockResolvedValue(false)

  await expect(batch.append(entry('a'))).rejects.toMatchObject({ reason: 'rollback' })
})
