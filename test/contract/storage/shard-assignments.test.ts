/**
 * Ownership of shards: changed only by compare-and-set, under a leader that still leads.
 */
import { sql } from 'kysely'
import { beforeEach, expect, test } from 'vitest'
import type { Database } from '../../../src/storage/database.js'
import { LeaderLease, type Leadership } from '../../../src/storage/leader.js'
import { ShardAssignments } from '../../../src/storage/shard-assignments.js'
import { eachDatabase, openConnections } from '../../support/databases.js'
import { seededRandom } from '../../support/random.js'

const SHARDS = 1_000
/** One statement may be through before the next begins: several rounds make it sure that some meet. */
const ROUNDS = 5
const LEADERS = 8
const LONG_MS = 60_000

/** Lets new connections take rows in the order of the statement, as a planner with other statistics would. */
async function joinRowByRow({ sql: db }: Database): Promise<void> {
  const { rows } = await sql<{ name: string }>`select current_database() as name`.execute(db)
  await sql.raw(`alter database "${rows[0]?.name}" set enable_hashjoin = off`).execute(db)
  await sql.raw(`alter database "${rows[0]?.name}" set enable_mergejoin = off`).execute(db)
}

eachDatabase((open) => {
  let database: Database
  let assignments: ShardAssignments
  beforeEach(async () => {
    database = await open()
    assignments = new ShardAssignments(database)
    await sql`truncate shard_assignments, leader`.execute(database.sql)
    await assignments.ensureShards(SHARDS)
  })

  const lead = async (holder: string): Promise<Leadership> => {
    await sql`update leader set expires_at = now() - interval '1 second'`.execute(database.sql)
    const won = await new LeaderLease(database).campaign(holder, LONG_MS)
    return { holder, term: won?.term ?? 0 }
  }

  test('shards begin without an owner, and more can be added later', async () => {
    await assignments.assign([{ shard: 3, expectedEpoch: 0, owner: 'a@1' }], undefined)

    await assignments.ensureShards(SHARDS + 2)

    const all = await assignments.list()
    expect(all.map(({ shard }) => shard)).toEqual(Array.from({ length: SHARDS + 2 }, (_, shard) => shard))
    expect(all[3]).toMatchObject({ owner: 'a@1', epoch: 1, state: 'assigned' })
    expect(all[SHARDS + 1]).toMatchObject({ owner: null, epoch: 0, state: 'released', previousOwner: null })
  })

  test('an assignment decided on an old epoch changes nothing, and the others of its statement do', async () => {
    await assignments.assign([{ shard: 1, expectedEpoch: 0, owner: 'a@1' }], undefined)

    const changed = await assignments.assign(
      [
        { shard: 1, expectedEpoch: 0, owner: 'b@1' },
        { shard: 2, expectedEpoch: 0, owner: 'b@1' },
      ],
      undefined,
    )

    expect(changed).toMatchObject([{ shard: 2, owner: 'b@1', epoch: 1, previousOwner: null }])
    expect((await assignments.list())[1]).toMatchObject({ owner: 'a@1', epoch: 1 })
  })

  test('parallel leaders that decide on the same picture give every shard to exactly one owner', async () => {
    await joinRowByRow(database)
    await openConnections(database)
    const random = seededRandom('parallel assignments')
    // Each in an order of its own, which is what makes statements wait for each other in a ring.
    const shuffled = () =>
      Array.from({ length: SHARDS }, (_, shard) => ({ shard, at: random.next() })).sort((a, b) => a.at - b.at)

    for (let epoch = 0; epoch < ROUNDS; epoch++) {
      const changes = Array.from({ length: LEADERS }, (_, n) =>
        shuffled().map(({ shard }) => ({ shard, expectedEpoch: epoch, owner: `w${n}@1` })),
      )
      const results = await Promise.all(changes.map((change) => assignments.assign(change, undefined)))

      const won = results.flat().sort((a, b) => a.shard - b.shard)
      expect(won.map(({ shard }) => shard)).toEqual(Array.from({ length: SHARDS }, (_, shard) => shard))
      expect(won.every((assignment) => assignment.epoch === epoch + 1)).toBe(true)
      expect(await assignments.list()).toEqual(won)
    }
  })

  test('a deposed leader can neither assign nor ask shards back', async () => {
    const old = await lead('old')
    await assignments.assign([{ shard: 0, expectedEpoch: 0, owner: 'a@1' }], old)
    const current = await lead('new')

    expect(await assignments.assign([{ shard: 0, expectedEpoch: 1, owner: 'b@1' }], old)).toEqual([])
    expect(await assignments.requestRelease([{ shard: 0, epoch: 1 }], old)).toEqual([])

    expect(await assignments.requestRelease([{ shard: 0, epoch: 1 }], current)).toMatchObject([{ state: 'releasing' }])
  })

  test('a leader whose lease ran out cannot assign', async () => {
    const leader = await lead('late')
    await sql`update leader set expires_at = now()`.execute(database.sql)

    expect(await assignments.assign([{ shard: 0, expectedEpoch: 0, owner: 'a@1' }], leader)).toEqual([])
  })

  test('D-06: who owns what is told in the order of the shards, whatever their epochs, and without what nobody had', async () => {
    const [a, b] = [
      [5, 1, 4],
      [2, 3],
    ]
    const give = (shards: readonly number[] = [], owner: string, expectedEpoch = 0) =>
      assignments.assign(
        shards.map((shard) => ({ shard, expectedEpoch, owner })),
        undefined,
      )
    await give(a, 'a@1')
    await give(b, 'b@1')
    await give([4], 'b@1', 1)
    await give([4], 'a@1', 2)
    await assignments.release([{ shard: 3, epoch: 1 }], 'b@1')

    expect(await assignments.ownedBy('a@1')).toEqual([
      { shard: 1, owner: 'a@1', epoch: 1, state: 'assigned', previousOwner: null },
      { shard: 4, owner: 'a@1', epoch: 3, state: 'assigned', previousOwner: 'b@1' },
      { shard: 5, owner: 'a@1', epoch: 1, state: 'assigned', previousOwner: null },
    ])
    expect((await assignments.ownedBy('b@1')).map(({ shard }) => shard)).toEqual([2])
    const owners = await assignments.owners()
    expect([...owners].sort(([one], [other]) => one - other)).toEqual([
      [1, 'a@1'],
      [2, 'b@1'],
      [3, 'b@1'],
      [4, 'a@1'],
      [5, 'a@1'],
    ])
  })

  test('a planned move goes through releasing and released to the next owner', async () => {
    await assignments.assign([{ shard: 5, expectedEpoch: 0, owner: 'a@1' }], undefined)
    await assignments.requestRelease([{ shard: 5, epoch: 1 }], undefined)
    expect(await assignments.ownedBy('a@1')).toMatchObject([{ shard: 5, state: 'releasing' }])

    const released = await assignments.release([{ shard: 5, epoch: 1 }], 'a@1')
    const [assigned] = await assignments.assign([{ shard: 5, expectedEpoch: 1, owner: 'b@1' }], undefined)

    expect(released).toMatchObject([{ shard: 5, owner: 'a@1', state: 'released' }])
    expect(assigned).toMatchObject({ owner: 'b@1', previousOwner: 'a@1', epoch: 2, state: 'assigned' })
    expect(await assignments.ownedBy('a@1')).toEqual([])
  })

  test('only its owner under its epoch gives a shard back, as often as it likes', async () => {
    await assignments.assign([{ shard: 6, expectedEpoch: 0, owner: 'a@1' }], undefined)

    expect(await assignments.release([{ shard: 6, epoch: 1 }], 'b@1')).toEqual([])
    expect(await assignments.release([{ shard: 6, epoch: 0 }], 'a@1')).toEqual([])
    expect(await assignments.release([{ shard: 6, epoch: 1 }], 'a@1')).toHaveLength(1)
    expect(await assignments.release([{ shard: 6, epoch: 1 }], 'a@1')).toHaveLength(1)
  })

  test('an epoch can be raised by its owner and never lowered', async () => {
    await assignments.assign([{ shard: 7, expectedEpoch: 0, owner: 'a@1' }], undefined)

    expect(await assignments.raise({ shard: 7, epoch: 1 }, 'b@1', 9)).toBeUndefined()
    expect(await assignments.raise({ shard: 7, epoch: 1 }, 'a@1', 9)).toMatchObject({ epoch: 9, owner: 'a@1' })
    expect(await assignments.raise({ shard: 7, epoch: 1 }, 'a@1', 12)).toBeUndefined()
    expect(await assignments.raise({ shard: 7, epoch: 9 }, 'a@1', 9)).toBeUndefined()
    expect(await assignments.raise({ shard: 7, epoch: 9 }, 'a@1', 3)).toBeUndefined()
  })
})
