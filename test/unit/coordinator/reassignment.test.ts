/**
 * How a planned move is carried out: the owner is asked, its word is enough to give the shard on, and silence ends the move.
 */
import { expect, test, vi } from 'vitest'
import type { ControlMessage } from '../../../src/cluster/cluster.js'
import { Reassignment } from '../../../src/coordinator/reassignment.js'
import type { Assignment, AssignmentChange, OwnedShard } from '../../../src/storage/shard-assignments.js'

const MOVE = { shard: 7, epoch: 3, from: 'a@1', to: 'b@1' }
const PLAN = { takeovers: [], moves: [MOVE], stranded: [] }
const TIMEOUT_MS = 5_000

function fixture() {
  const clock = { now: 0 }
  const sent: (readonly [to: string, message: ControlMessage])[] = []
  const row = (change: Partial<Assignment>): Assignment => ({
    ...{ shard: MOVE.shard, owner: MOVE.from, epoch: MOVE.epoch, state: 'releasing' as const },
    ...{ previousOwner: null, changedAt: new Date(0), ...change },
  })
  const assignments = {
    assign: vi.fn(async (changes: readonly AssignmentChange[]) =>
      changes.map(({ shard, expectedEpoch, owner }) =>
        row({ shard, owner, epoch: expectedEpoch + 1, state: 'assigned', previousOwner: MOVE.from }),
      ),
    ),
    requestRelease: vi.fn(async (shards: readonly OwnedShard[]) => shards.map((it) => row(it))),
    withdraw: vi.fn(async (shards: readonly OwnedShard[]) => shards.map((it) => row({ ...it, state: 'assigned' }))),
  }
  const reassignment = new Reassignment({
    id: 'leader@1',
    assignments,
    control: { send: async (to, message) => void sent.push([to, message]) },
    log: { info() {}, warn() {}, error() {} },
    clock: () => clock.now,
    migrationTimeoutMs: TIMEOUT_MS,
    term: () => ({ holder: 'leader@1', term: 1 }),
  })
  return { clock, sent, row, assignments, reassignment }
}

test('a shard whose owner says that it is released goes to its target at once', async () => {
  const { sent, reassignment } = fixture()
  await reassignment.carryOut(PLAN)

  expect(await reassignment.released([{ shard: 7, epoch: 3 }])).toBe(true)

  expect(sent).toEqual([
    ['a@1', { type: 'release', shards: [{ shard: 7, epoch: 3 }], leader: 'leader@1' }],
    ['b@1', { type: 'claim', shards: [{ shard: 7, epoch: 4, previousOwner: 'a@1' }] }],
  ])
  expect(reassignment.moving).toBe(false)
})

test('word of a shard that is not moving, or of a former epoch, moves nothing', async () => {
  const { assignments, reassignment } = fixture()
  await reassignment.carryOut(PLAN)

  expect(await reassignment.released([{ shard: 8, epoch: 1 }])).toBe(false)
  expect(await reassignment.released([{ shard: 7, epoch: 2 }])).toBe(false)

  expect(assignments.assign).not.toHaveBeenCalled()
  expect(reassignment.targets).toEqual(new Map([[7, 'b@1']]))
})

test('a shard that its owner does not release within MIGRATION_TIMEOUT stays where it is', async () => {
  const { clock, row, assignments, reassignment } = fixture()
  await reassignment.carryOut(PLAN)

  clock.now = TIMEOUT_MS - 1
  await reassignment.observe([row({})])
  expect(reassignment.moving).toBe(true)
  clock.now = TIMEOUT_MS
  await reassignment.observe([row({})])

  expect(assignments.withdraw).toHaveBeenCalledWith([{ shard: 7, epoch: 3 }], expect.anything())
  expect(reassignment.moving).toBe(false)
  expect(await reassignment.released([{ shard: 7, epoch: 3 }])).toBe(false)
})
