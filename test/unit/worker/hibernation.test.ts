/**
 * The order in which sessions leave: nothing is dropped that is not kept, and what is dropped or gone is marked last.
 */
import { expect, test, vi } from 'vitest'
import type { Claim, Hibernated, Refused, Rest } from '../../../src/bus/bus.js'
import type { DormantSession } from '../../../src/bus/dormant.js'
import { newSessionId } from '../../../src/protocol/ids.js'
import { Hibernation, type RestingSession } from '../../../src/worker/hibernation.js'

const SHARD = 3
const claim: Claim = { shard: SHARD, owner: 'worker@1', epoch: 3 }
const IDLE_MS = 900_000

const dormant = (sessionId: string): DormantSession => ({
  ...{ sessionId, tenant: 'acme', status: 'active', head: '3-2', commit: 'w-1', state: '', accepted: 1 },
  ...{ seen: [], seenBefore: [] },
})

type Answer = Rest | Refused | { readonly status: 'held' }

/** A bus and a Postgres in which each session is as `sessions` says. */
function fixture(sessions: Readonly<Record<string, Answer['status']>>, drop: Hibernated | Refused = { status: 'ok' }) {
  const ids = Object.keys(sessions)
  const steps: string[] = []
  const findResting = vi.fn(
    async (_shards: readonly number[], _times: object, after: RestingSession | undefined, limit: number) => {
      const from = after === undefined ? 0 : ids.indexOf(after.sessionId) + 1
      return ids.slice(from, from + limit).map((sessionId) => ({ sessionId, shard: SHARD }))
    },
  )
  const keep = vi.fn(async (kept: readonly { readonly session: DormantSession }[]) => {
    for (const { session } of kept) steps.push(`keep ${session.sessionId}`)
  })
  const markAsleep = vi.fn(async (asleep: readonly string[]) => {
    for (const id of asleep) steps.push(`mark ${id}`)
  })
  const onUnprojected = vi.fn()
  const onRefused = vi.fn()
  const hibernation = new Hibernation({
    log: {
      rest: async (_claim, id) => {
        const status = sessions[id]
        return status === 'idle' ? { status, session: dormant(id) } : ({ status, epoch: 9 } as Rest)
      },
      hibernate: async (_claim, { sessionId }) => {
        steps.push(`drop ${sessionId}`)
        return drop
      },
    },
    storage: { findResting, keep, markAsleep },
    idleMs: IDLE_MS,
    owned: () => new Map([[SHARD, claim]]),
    letGo: (id) => sessions[id] !== 'held',
    onUnprojected,
    onRefused,
    logger: { debug() {}, info() {}, warn() {}, error() {} },
  })
  return { hibernation, ids, steps, findResting, keep, markAsleep, onUnprojected, onRefused }
}

const name = () => newSessionId(SHARD)

test('a session is kept before it is dropped, and marked after it', async () => {
  const id = name()
  const { hibernation, steps, findResting } = fixture({ [id]: 'idle' })

  await hibernation.sweep()

  expect(steps).toEqual([`keep ${id}`, `drop ${id}`, `mark ${id}`])
  expect(findResting.mock.calls[0]?.[1]).toEqual({ idleMs: IDLE_MS, endedMs: 60_000 })
})

test('what cannot be kept is not dropped', async () => {
  const { hibernation, steps, keep } = fixture({ [name()]: 'idle' })
  keep.mockRejectedValueOnce(new Error('ECONNREFUSED'))

  await hibernation.sweep()
  expect(steps).toEqual([])
  await hibernation.sweep()

  expect(steps.map((it) => it.split(' ')[0])).toEqual(['keep', 'drop', 'mark'])
})

test('a session that changed meanwhile stays, and counts as awake', async () => {
  const { hibernation, markAsleep, onRefused } = fixture({ [name()]: 'idle' }, { status: 'changed' })

  await hibernation.sweep()

  expect(markAsleep).toHaveBeenCalledWith([], expect.anything())
  expect(onRefused).not.toHaveBeenCalled()
})

test('one that a crash left dropped and unmarked is marked', async () => {
  const id = name()
  const { hibernation, steps } = fixture({ [id]: 'absent' })

  await hibernation.sweep()

  expect(steps).toEqual([`mark ${id}`])
})

test('sessions with work or watchers stay, and those whose events Postgres may not have are projected', async () => {
  const [held, busy, watched, unprojected] = [name(), name(), name(), name()]
  const sessions = { [held]: 'held', [busy]: 'busy', [watched]: 'watched', [unprojected]: 'unprojected' } as const
  const { hibernation, steps, onUnprojected } = fixture(sessions)

  await hibernation.sweep()

  expect(steps).toEqual([])
  expect(onUnprojected.mock.calls).toEqual([[claim, unprojected]])
})

test.each(['read', 'drop'] as const)('a refused epoch is told, when it is refused to %s', async (when) => {
  const fenced: Refused = { status: 'fenced', epoch: 9 }
  const { hibernation, onRefused } = fixture({ [name()]: when === 'read' ? 'fenced' : 'idle' }, fenced)

  await hibernation.sweep()

  expect(onRefused.mock.calls).toEqual([[claim, fenced]])
})

test('a sweep goes through all pages, and is shared by those who ask for it meanwhile', async () => {
  const sessions = Object.fromEntries(Array.from({ length: 230 }, () => [name(), 'idle' as const]))
  const { hibernation, steps, findResting } = fixture(sessions)

  await Promise.all([hibernation.sweep(), hibernation.sweep()])

  expect(findResting).toHaveBeenCalledTimes(3)
  expect(steps.filter((it) => it.startsWith('mark'))).toHaveLength(230)
})

test('a stop does not wait for a Postgres that is silent', async () => {
  const { hibernation, findResting } = fixture({ [name()]: 'idle' })
  findResting.mockReturnValueOnce(new Promise(() => undefined))
  void hibernation.sweep()
  const before = performance.now()

  await hibernation.stop()

  expect(performance.now() - before).toBeLessThan(10_000)
})
