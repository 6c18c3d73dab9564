/**
 * How an owner puts back what its store has lost: after Postgres has said that the shard is still its own, commands before
 * commits, each session's writes in their order, and only what is missing.
 */
import { expect, onTestFinished, test, vi } from 'vitest'
import type { Change, Claim, StoreFailover, StoreWatchHandlers } from '../../../src/bus/bus.js'
import type { Submission } from '../../../src/bus/command.js'
import { newSessionId } from '../../../src/protocol/ids.js'
import type { OwnedShard } from '../../../src/worker/shard-owner.js'
import { StoreRecovery } from '../../../src/worker/store-recovery.js'
import { TailReplay } from '../../../src/worker/tail-replay.js'
import { WriteTail } from '../../../src/worker/write-tail.js'

const SHARD = 5
const claim: Claim = { shard: SHARD, owner: 'w@1', epoch: 3 }
const mine: OwnedShard = { shard: SHARD, epoch: 3, state: 'assigned', previousOwner: undefined }
const sessionId = newSessionId(SHARD)

function fixture() {
  const calls: string[] = []
  const state = { head: 1, rows: [mine] as OwnedShard[], owned: new Map([[SHARD, claim]]) }
  const handlers: StoreWatchHandlers[] = []
  const store: StoreFailover = {
    watch: (them) => {
      handlers.push(them)
      return { check: async () => undefined, stop: () => undefined }
    },
    restore: vi.fn(async (_claim, commands: readonly Submission[]) => {
      calls.push(`restore ${commands.map(({ commandId }) => commandId).join(' ')}`)
      return { status: 'ok' } as const
    }),
    pause: vi.fn(async () => undefined),
    claimSame: vi.fn(async () => undefined),
    settle: vi.fn(async () => {
      calls.push('settle')
      return { status: 'ok' } as const
    }),
  }
  const log = {
    claim: vi.fn(async () => {
      calls.push('claim')
      return { status: 'ok' } as never
    }),
    peek: vi.fn(async () => ({ head: `3-${state.head}` }) as never),
    commit: vi.fn(async (_claim: Claim, change: Change) => {
      calls.push(`commit ${change.commitId}`)
      if (change.expectedSeq !== state.head) return { status: 'head', seq: state.head } as const
      state.head += change.events.length
      return { status: 'ok' } as const
    }),
    flush: vi.fn(async () => {
      calls.push('flush')
      return { status: 'ok' } as const
    }),
  }
  const tail = new WriteTail()
  const assigned = vi.fn(async () => state.rows)
  const onLost = vi.fn(() => state.owned.clear())
  const onRestored = vi.fn(async () => void calls.push('restored'))
  const onCleared = vi.fn(() => void calls.push('cleared'))
  const logger = { debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn() }
  const owned = () => state.owned
  /** What Postgres has of the session. */
  const projected = { seq: 0 }
  const forward = vi.fn(async (_claim: Claim, _id: string, upTo: number) => {
    const before = state.head
    state.head = Math.max(before, Math.min(projected.seq, upTo))
    calls.push(`forward to ${state.head}`)
    return state.head - before
  })
  const raise = vi.fn(async () => void calls.push('raise'))
  const replay = new TailReplay({ store, log, handover: undefined, tail, forward })
  const askFormers = vi.fn(async (_claim: Claim, formers: Iterable<string>) => {
    for (const node of formers) calls.push(`ask ${node}`)
    return true
  })
  const handling = { replay, askFormers, raise, onRestored, onCleared, onLost }
  const recovery = new StoreRecovery({ store, log, tail, owned, assigned, ...handling, logger })
  onTestFinished(() => recovery.stop())
  return { recovery, tail, calls, state, store, log, assigned, askFormers, onLost, raise, projected, handlers }
}

const change = (commitId: string, expectedSeq: number, events = ['e']): Change => ({
  ...{ sessionId, commitId, expectedSeq, events, status: 'active', state: undefined },
  ...{ popInbox: 0, popControl: 0, ended: [], clearPart: false },
})
const command = (commandId: string): Submission => ({
  ...{ sessionId, commandId, type: 'execute', tenant: 't', outbox: 'e@1-1', fresh: false, body: '{}' },
})

test('commands go back before writes, writes in their order, and what the store has is passed over', async () => {
  const { recovery, tail, calls } = fixture()
  tail.committed(claim, change('there', 0))
  tail.flushed(claim, { sessionId, messageId: 'm', offset: 0, text: 't', headSeq: 1, json: '{}' })
  tail.committed(claim, change('lost', 1))
  tail.committed(claim, change('lost too', 2, ['e', 'e']))
  tail.accepted(claim, command('a'))
  tail.accepted(claim, command('b'))

  const done = recovery.restore(claim)
  expect(recovery.isRestoring(SHARD)).toBe(true)

  expect(await done).toBe(true)
  const writes = ['flush', 'commit lost', 'commit lost too']
  expect(calls).toEqual(['claim', 'restore a b', ...writes, 'settle', 'restored', 'cleared'])
  expect(recovery.isRestoring(SHARD)).toBe(false)
  expect(recovery.isDoubted(SHARD)).toBe(false)
})

test('who wrote before puts back first, and once more after our commands when something is missing', async () => {
  const { recovery, tail, calls, askFormers } = fixture()
  tail.follows(claim, 'former@1')
  tail.accepted(claim, command('a'))
  askFormers.mockImplementationOnce(async () => {
    calls.push('not whole')
    return false
  })

  expect(await recovery.restore(claim)).toBe(true)

  expect(calls).toEqual(['not whole', 'claim', 'restore a', 'ask former@1', 'settle', 'restored', 'cleared'])
  expect(recovery.isDoubted(SHARD)).toBe(false)
})

test('a shard whose former owner cannot put back what it wrote is in doubt', async () => {
  const { recovery, tail, store, askFormers } = fixture()
  tail.follows(claim, 'former@1')
  askFormers.mockResolvedValue(false)

  expect(await recovery.restore(claim)).toBe(true)

  expect(recovery.isDoubted(SHARD)).toBe(true)
  expect(store.settle).not.toHaveBeenCalled()
})

test('a shard is claimed in another store after its former owner has put back what that lacks', async () => {
  const { recovery, tail, calls } = fixture()

  expect(await recovery.claim(claim, 'former@1')).toMatchObject({ status: 'ok', storeChanged: false })

  expect(calls).toEqual(['ask former@1', 'claim', 'settle'])
  expect(tail.formersOf(claim)).toEqual(new Set(['former@1']))
})

test('a shard that Postgres gives to another is let go of, and nothing is written', async () => {
  const { recovery, calls, state, onLost } = fixture()
  state.rows = [{ ...mine, epoch: 4 }]

  expect(await recovery.restore(claim)).toBe(false)

  expect(onLost).toHaveBeenCalledWith(claim, { status: 'unassigned' })
  expect(calls).toEqual(['cleared'])
})

test('while Postgres does not answer the shard refuses commands and waits, and goes on when it does', async () => {
  const { recovery, assigned, calls, store } = fixture()
  assigned.mockRejectedValueOnce(new Error('away')).mockRejectedValueOnce(new Error('away'))

  expect(await recovery.restore(claim)).toBe(true)

  expect(assigned).toHaveBeenCalledTimes(3)
  expect(store.pause).toHaveBeenCalledTimes(2)
  expect(calls).toEqual(['claim', 'settle', 'restored', 'cleared'])
})

test('a store that fails over again meanwhile is restored from the beginning', async () => {
  const { recovery, tail, store, calls } = fixture()
  tail.accepted(claim, command('a'))
  vi.mocked(store.restore).mockResolvedValueOnce({ status: 'rollback', epoch: 2 })

  expect(await recovery.restore(claim)).toBe(true)

  expect(calls).toEqual(['claim', 'claim', 'restore a', 'settle', 'restored', 'cleared'])
})

test('what is older than the tail comes from Postgres, and the rest follows under its own ids', async () => {
  const { recovery, tail, calls, log, projected } = fixture()
  projected.seq = 9
  tail.committed(claim, { ...change('lost', 7, ['e', 'e']), after: 'older' })
  tail.committed(claim, { ...change('lost too', 9), after: 'lost' })

  expect(await recovery.restore(claim)).toBe(true)

  const writes = ['commit lost', 'forward to 7', 'commit lost', 'commit lost too']
  expect(calls).toEqual(['claim', ...writes, 'restored', 'cleared'])
  // What it lacks of sessions at rest nobody remembers.
  expect(recovery.isDoubted(SHARD)).toBe(true)
  // What Postgres gave back stands there under another commit.
  expect(log.commit.mock.calls.map(([, { after }]) => after)).toEqual(['older', undefined, 'lost'])
})

test('events that neither the tail nor Postgres has are gone: a new epoch begins, and the shard is claimed under it', async () => {
  const { recovery, tail, store, calls, onLost, projected } = fixture()
  projected.seq = 4
  tail.committed(claim, change('too late', 7))

  expect(await recovery.restore(claim)).toBe(false)

  expect(calls).toEqual(['claim', 'commit too late', 'forward to 4', 'commit too late', 'raise', 'cleared'])
  expect(onLost).toHaveBeenCalledWith(claim, { status: 'unassigned' })
  expect(store.settle).not.toHaveBeenCalled()
})

test('a message whose beginning is too old for the tail leaves its shard in doubt, unsettled', async () => {
  const { recovery, tail, store, log } = fixture()
  log.flush.mockResolvedValueOnce({ status: 'gap', bytes: 0 } as never)
  tail.flushed(claim, { sessionId, messageId: 'm', offset: 9, text: 't', headSeq: 1, json: '{}' })

  expect(await recovery.restore(claim)).toBe(true)

  expect(recovery.isDoubted(SHARD)).toBe(true)
  expect(store.settle).not.toHaveBeenCalled()
})

test('suspicions that come while a shard is restored are cleared by it', async () => {
  const { recovery, log } = fixture()

  const all = await Promise.all([recovery.restore(claim), recovery.restore(claim), recovery.restore(claim)])

  expect(all).toEqual([true, true, true])
  expect(log.claim).toHaveBeenCalledOnce()
})

test('another server makes the owner restore the shards that it holds, and the same one shortens the tail', async () => {
  const { recovery, handlers, calls, tail } = fixture()
  const confirm = vi.spyOn(tail, 'confirm')
  handlers[0]?.onSame(() => true)
  expect(confirm).toHaveBeenCalledOnce()

  handlers[0]?.onChanged((shard) => shard !== SHARD)
  expect(recovery.isRestoring(SHARD)).toBe(false)
  handlers[0]?.onChanged(() => true)
  expect(recovery.isRestoring(SHARD)).toBe(true)
  await recovery.cleared(SHARD)

  expect(calls).toContain('restored')
})
