/**
 * Nodes and the settings that they share.
 */
import { sql } from 'kysely'
import { beforeEach, expect, test } from 'vitest'
import { fixClusterConfig } from '../../../src/storage/cluster-config.js'
import type { Database } from '../../../src/storage/database.js'
import { Nodes } from '../../../src/storage/nodes.js'
import { eachDatabase } from '../../support/databases.js'

const worker = (id: string) => ({ id, name: 'w', role: 'worker', version: '2.0.0', capacity: 10 }) as const

eachDatabase((open) => {
  let database: Database
  let nodes: Nodes
  beforeEach(async () => {
    database = await open()
    nodes = new Nodes(database)
    await sql`truncate nodes, cluster_config`.execute(database.sql)
  })

  test('D-13: a registered node is live until it ends', async () => {
    await nodes.register(worker('w@1'))
    await nodes.register(worker('w@2'))
    await nodes.setStatus('w@1', 'draining')

    const ended = await nodes.setStatus('w@2', 'left')

    expect(ended).toBe(true)
    expect(await nodes.listLive()).toMatchObject([{ id: 'w@1', status: 'draining', endedAt: null }])
    expect(await nodes.find('w@2')).toMatchObject({ ...worker('w@2'), status: 'left', endedAt: expect.any(Date) })
    expect((await nodes.listAll(10)).map(({ id }) => id).sort()).toEqual(['w@1', 'w@2'])
    expect(await nodes.listAll(1)).toHaveLength(1)
  })

  test.each(['dead', 'left'] as const)('a node that is %s never lives again', async (end) => {
    await nodes.register(worker('w@1'))
    await nodes.setStatus('w@1', end)

    expect(await nodes.setStatus('w@1', 'live')).toBe(false)
    expect(await nodes.setStatus('w@1', 'dead')).toBe(false)
    await nodes.register(worker('w@1'))
    expect(await nodes.listLive()).toEqual([])
    expect(await nodes.find('w@1')).toMatchObject({ status: end })
  })

  test('a node that never registered cannot change', async () => {
    expect(await nodes.setStatus('ghost@1', 'dead')).toBe(false)
    expect(await nodes.find('ghost@1')).toBeUndefined()
  })

  test('the first node fixes the cluster config for all', async () => {
    const wanted = Array.from({ length: 8 }, (_, n) => ({ shards: 16 + n, lanes: 1, layout: 1 }))

    const fixed = await Promise.all(wanted.map((config) => fixClusterConfig(database, config)))

    expect(new Set(fixed.map(({ shards }) => shards)).size).toBe(1)
    expect(wanted).toContainEqual(fixed[0])
  })

  test('a cluster with a newer key layout is refused', async () => {
    await fixClusterConfig(database, { shards: 16, lanes: 1, layout: 2 })

    const older = fixClusterConfig(database, { shards: 16, lanes: 1, layout: 1 })

    await expect(older).rejects.toThrow('The cluster uses key layout 2 and this version knows 1')
  })
})
