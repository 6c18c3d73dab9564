/**
 * What a worker puts back of shards that are not its own any more, into a store that has lost writes.
 */
import { expect, test, vi } from 'vitest'
import type { Change, Claim, Committed, StoreFailover } from '../../../src/bus/bus.js'
import { newSessionId } from '../../../src/protocol/ids.js'
import { FormerClaims } from '../../../src/worker/former-claims.js'
import { TailReplay } from '../../../src/worker/tail-replay.js'
import { WriteTail } from '../../../src/worker/write-tail.js'

const SHARD = 5
const claim: Claim = { shard: SHARD, owner: 'w@1', epoch: 3 }
const sessionId = newSessionId(SHARD)
const change: Change = {
  ...{ sessionId, commitId: 'lost', expectedSeq: 1, events: ['e'], status: 'active', state: undefined },
  ...{ popInbox: 1, popControl: 0, ended: [], clearPart: false },
}

/** A store that has the first event of the session, and neither the command nor the commit that ended it. */
function fixture() {
  const inStore = { head: 1, inbox: 0, epoch: 3 }
  const store: Pick<StoreFailover, 'restore'> = {
    restore: vi.fn(async (_claim, commands) => {
      inStore.inbox += commands.length
      return { status: 'ok' } as const
    }),
  }
  const log = {
    claim: vi.fn(async () => ({ status: inStore.epoch > claim.epoch ? 'fenced' : 'ok' }) as never),
    peek: vi.fn(async () => ({ head: `3-${inStore.head}` }) as never),
    commit: vi.fn(async (_claim: Claim, { popInbox, events }: Change): Promise<Committed> => {
      if (inStore.epoch > claim.epoch) return { status: 'fenced', epoch: inStore.epoch }
      if (popInbox > inStore.inbox) return { status: 'corrupt' }
      inStore.inbox -= popInbox
      inStore.head += events.length
      return { status: 'ok' }
    }),
    flush: vi.fn(),
  }
  const tail = new WriteTail()
  const replay = new TailReplay({ store, log, handover: undefined, tail, forward: async () => 0 })
  const logger = { debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn() }
  const former = new FormerClaims({ log, tail, replay, ask: async () => true, logger })
  tail.accepted(claim, {
    ...{ sessionId, commandId: 'a', type: 'execute', tenant: 't', outbox: 'e@1-1' },
    fresh: false,
    body: '{}',
  })
  tail.committed(claim, change)
  return { former, inStore, store, tail }
}

test('while nobody else has the shard, its commands are put back for a session that still has to write', async () => {
  const { former, inStore, store } = fixture()

  expect(await former.restore(claim, sessionId)).toBe(true)

  expect(store.restore).toHaveBeenCalledOnce()
  expect(inStore).toEqual({ head: 2, inbox: 0, epoch: 3 })
})

test('once another has claimed the shard, a session that is not pinned has lost its writer', async () => {
  const { former, inStore, store } = fixture()
  inStore.epoch = 4

  expect(await former.restore(claim, sessionId)).toBe(false)

  expect(store.restore).not.toHaveBeenCalled()
})

test('of a claim that was given up the next owner hears that not everything is back', async () => {
  const { former, tail } = fixture()
  tail.forget(claim)

  expect(await former.putBack(SHARD, claim.epoch + 1)).toBe(false)
  expect(await former.putBack(SHARD, claim.epoch)).toBe(true)
})
