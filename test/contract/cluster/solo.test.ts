/**
 * A cluster of one process.
 */
import { expect, onTestFinished, test } from 'vitest'
import { Solo } from '../../../src/cluster/solo.js'
import { newNodeId } from '../../../src/protocol/ids.js'
import { type Database, openDatabase } from '../../../src/storage/database.js'
import { migrate } from '../../../src/storage/migrate.js'
import { lockProcess } from '../../../src/storage/process-lock.js'
import { ShardAssignments } from '../../../src/storage/shard-assignments.js'
import { memoryLog, openPlane } from './plane.js'

const SHARDS = 16

function solo(database: Database, lock?: () => Promise<() => Promise<void>>): Solo {
  const assignments = new ShardAssignments(database)
  const facts = { id: newNodeId('solo'), version: '2.0.0', shardCount: SHARDS, log: memoryLog() }
  const member = new Solo({ ...facts, assignments, ...(lock && { lock }) })
  onTestFinished(() => member.stop())
  return member
}

async function builtInDatabase(): Promise<Database> {
  const database = await openDatabase({ kind: 'pglite', directory: undefined })
  onTestFinished(() => database.close())
  await migrate(database)
  return database
}

test('each start takes all shards with the next epoch, so that the process before is fenced', async () => {
  const database = await builtInDatabase()
  const [first, second] = [solo(database), solo(database)]

  await first.start()
  await first.stop()
  await second.start()

  expect(first.claims.map(({ epoch }) => epoch)).toEqual(Array(SHARDS).fill(1))
  expect(second.claims.map(({ epoch }) => epoch)).toEqual(Array(SHARDS).fill(2))
  expect(await new ShardAssignments(database).ownedBy(second.id)).toHaveLength(SHARDS)
  expect(first.mayStartEffects()).toBe(false)
  expect(second.mayStartEffects()).toBe(true)
})

test('it is its own cluster: the only node, owner of all shards, and told to claim them', async () => {
  const member = solo(await builtInDatabase())
  await member.start()
  member.setLoad({ busy: 2, capacity: 5, queued: 1 })
  member.setStatus('draining')

  const heard: unknown[] = []
  await member.receive((message) => heard.push(message))

  const load = { busy: 2, capacity: 5, queued: 1 }
  expect(member.nodes()).toMatchObject([{ id: member.id, role: 'all', status: 'draining', load }])
  expect(member.owners().size).toBe(SHARDS)
  expect(new Set(member.owners().values())).toEqual(new Set([member.id]))
  expect(heard).toEqual([{ type: 'claim', shards: member.claims }])
})

test('a second process on the same Postgres is refused until the first has stopped', async () => {
  const { database } = await openPlane()
  const lock = () => lockProcess(database)
  const [first, second] = [solo(database, lock), solo(database, lock)]
  await first.start()

  await expect(second.start()).rejects.toThrow('another process')
  expect(second.mayStartEffects()).toBe(false)
  await first.stop()
  await second.start()

  expect(second.claims).toHaveLength(SHARDS)
})

test('a process that loses shards to another while it starts says so', async () => {
  const database = await builtInDatabase()
  const assignments = new ShardAssignments(database)
  const rival = { ensureShards: (count: number) => assignments.ensureShards(count), list: () => assignments.list() }
  const assign: ShardAssignments['assign'] = async (changes, leader) => {
    await assignments.assign([{ shard: 0, expectedEpoch: 0, owner: 'rival@1' }], undefined)
    return assignments.assign(changes, leader)
  }
  const facts = { id: newNodeId('solo'), version: '2.0.0', shardCount: SHARDS, log: memoryLog() }
  const member = new Solo({ ...facts, assignments: { ...rival, assign } })

  await expect(member.start()).rejects.toThrow('15 of 16 shards')
  expect(member.mayStartEffects()).toBe(false)
})
