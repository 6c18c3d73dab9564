/**
 * What a worker remembers of its last writes, and for how long.
 */
import { expect, test } from 'vitest'
import type { Change, Claim, TextFlush } from '../../../src/bus/bus.js'
import type { Submission } from '../../../src/bus/command.js'
import { newSessionId } from '../../../src/protocol/ids.js'
import { WriteTail } from '../../../src/worker/write-tail.js'

const claim = (shard: number): Claim => ({ shard, owner: 'w@1', epoch: 1 })
const everywhere = () => true

function fixture(maxChars?: number) {
  const clock = { now: 1_000 }
  return { clock, tail: new WriteTail(() => clock.now, maxChars) }
}

const change = (sessionId: string, expectedSeq: number, body = 'e'): Change => ({
  ...{ sessionId, commitId: `c${expectedSeq}`, expectedSeq, events: [body], status: 'active', state: undefined },
  ...{ popInbox: 0, popControl: 0, ended: [], clearPart: false },
})
const flush = (sessionId: string, headSeq: number): TextFlush => ({
  ...{ sessionId, messageId: 'm', offset: 0, text: 't', headSeq, json: '{}' },
})
const command = (sessionId: string, commandId: string): Submission => ({
  ...{ sessionId, commandId, type: 'execute', tenant: 't', outbox: 'e@1-1', fresh: false, body: '{}' },
})

test('writes of a session stay in their order, those of others apart', () => {
  const { tail } = fixture()
  const [a, b] = [newSessionId(1), newSessionId(1)]
  tail.committed(claim(1), change(a, 0))
  tail.flushed(claim(1), flush(a, 1))
  tail.committed(claim(1), change(b, 4))
  tail.committed(claim(1), change(a, 1))
  tail.accepted(claim(1), command(a, 'x'))
  tail.accepted(claim(1), command(b, 'y'))

  const writes = tail.writesOf(claim(1))

  expect(writes.get(a)?.map(({ kind }) => kind)).toEqual(['commit', 'flush', 'commit'])
  expect(writes.get(b)).toHaveLength(1)
  expect(tail.commandsOf(claim(1)).map(({ commandId }) => commandId)).toEqual(['x', 'y'])
  expect([tail.lastSeqOf(claim(1), a), tail.lastSeqOf(claim(1), b), tail.lastSeqOf(claim(1), 'other')]).toEqual([
    2, 5, 0,
  ])
  expect(tail.commandsOf(claim(2))).toEqual([])
})

test('nothing goes for its age before the store has been seen to be the same', () => {
  const { tail, clock } = fixture()
  const id = newSessionId(1)
  tail.committed(claim(1), change(id, 0))
  clock.now += 60_000
  tail.committed(claim(1), change(id, 1))

  expect(tail.writesOf(claim(1)).get(id)).toHaveLength(2)
  tail.confirm(({ shard }) => shard !== 1)
  expect(tail.writesOf(claim(1)).get(id)).toHaveLength(2)
  tail.confirm(everywhere)
  expect(tail.writesOf(claim(1)).get(id)).toMatchObject([{ change: { expectedSeq: 1 } }])
  clock.now += 5_001
  tail.confirm(everywhere)
  expect(tail.writesOf(claim(1)).size).toBe(0)
  expect(tail.dropped).toBe(0)
})

test('the oldest of all shards goes when there is too much, and is counted', () => {
  const { tail, clock } = fixture(100_000)
  const ids = [newSessionId(1), newSessionId(2)]
  for (let n = 0; n < 200; n++) {
    clock.now += 10
    const shard = 1 + (n % 2)
    tail.committed(claim(shard), change(ids[n % 2] ?? '', n, 'x'.repeat(1_000)))
  }

  const kept = [1, 2].flatMap((shard) => [...tail.writesOf(claim(shard)).values()].flat())

  const seqs = kept.map((it) => (it.kind === 'commit' ? it.change.expectedSeq : -1)).sort((a, b) => a - b)
  expect(kept.length).toBeGreaterThan(40)
  expect(kept.length).toBeLessThan(90)
  expect(seqs).toEqual(seqs.map((_, index) => 200 - seqs.length + index))
  expect(tail.dropped).toBe(200 - kept.length)
})

test('a single write that is larger than all that may be kept does not stay', () => {
  const { tail } = fixture(1_000)
  tail.committed(claim(1), change(newSessionId(1), 0, 'x'.repeat(5_000)))

  expect(tail.writesOf(claim(1)).size).toBe(0)
  expect(tail.dropped).toBe(1)
})

test('what was written under a former claim stays apart, in the order of the claims', () => {
  const { tail } = fixture()
  const id = newSessionId(1)
  const later: Claim = { ...claim(1), epoch: 3 }
  tail.committed(later, change(id, 7))
  tail.follows(later, 'former@1')
  tail.committed(claim(1), change(id, 0))

  expect(tail.claimsOf(1)).toEqual([claim(1), later])
  expect(tail.writesOf(later).get(id)).toMatchObject([{ change: { expectedSeq: 7 } }])
  expect([tail.formersOf(later), tail.formersOf(claim(1))]).toEqual([new Set(['former@1']), new Set()])
})

test('who wrote before a claim is not taken for a write of its own', () => {
  const { tail } = fixture()
  tail.follows(claim(1), 'former@1')
  expect(tail.remembers(claim(1))).toBe(false)
  expect(tail.formersOf(claim(1))).toEqual(new Set(['former@1']))

  tail.committed(claim(1), change(newSessionId(1), 0))
  expect(tail.remembers(claim(1))).toBe(true)
})

test('what has no place in the store any more is forgotten', () => {
  const { tail } = fixture()
  tail.committed(claim(1), change(newSessionId(1), 0))
  tail.committed(claim(2), change(newSessionId(2), 0))

  tail.forget(claim(1))

  expect([tail.writesOf(claim(1)).size, tail.writesOf(claim(2)).size]).toEqual([0, 1])
})
