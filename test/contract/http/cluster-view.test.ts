/**
 * The picture of the cluster over HTTP (row H-04): who is there, who has which shard, what moved last.
 */
import { beforeAll, expect, test } from 'vitest'
import { type House, openHouse, type Requester } from './http-fixture.js'

let house: House
let admin: Requester
beforeAll(async () => {
  house = await openHouse()
  admin = await house.as('root', 'acme', 'admin')
})

test('nodes, shards and moves are shown, and agree with each other', async () => {
  const [cluster, { body: all }, moved] = [
    await admin.get('/api/cluster'),
    await admin.get('/api/cluster/shards'),
    await admin.get('/api/cluster/moves?limit=3'),
  ]

  const [node] = cluster.body.nodes
  expect(cluster.body).toMatchObject({ shardCount: all.shards.length, leader: node.id })
  expect(node).toMatchObject({ role: 'all', status: 'live', shards: all.shards.length, share: 1 })
  expect(all.shards[0]).toMatchObject({ shard: 0, owner: node.id, state: 'assigned', weight: node.weight })
  expect(moved.body.moves).toHaveLength(3)
  expect(moved.body.moves[0]).toMatchObject({ to: node.id, at: expect.any(String) })
})

test('who has only sessions of its own is not shown the machines', async () => {
  const user = await house.as('alice', 'acme', 'user')

  for (const path of ['/api/cluster', '/api/cluster/shards', '/api/cluster/moves']) {
    expect(await user.get(path), path).toMatchObject({ status: 403, body: { code: 'forbidden' } })
  }
})
