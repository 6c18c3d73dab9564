/**
 * The rest of what the dashboard thinks before it draws: moves, pages, bars, addresses.
 */
import { describe, expect, test } from 'vitest'
import type { UsageReport } from '../../../src/protocol/budgets.js'
import { hashOf, routeOf } from '../../../ui/model/address.js'
import { movesBetween, pastMoves, ranges, sentence } from '../../../ui/model/moves.js'
import { renewed } from '../../../ui/model/rows.js'
import { OTHERS, stacksOf, ticks } from '../../../ui/model/series.js'
import type { ClusterNode, ClusterPicture } from '../../../ui/model/shapes.js'

const picture = (owners: readonly (string | null)[], nodes: readonly string[], leader: string | null = null) =>
  ({
    leader,
    shardCount: owners.length,
    nodes: nodes.map((id) => ({ id }) as ClusterNode),
    shards: owners.map((owner, shard) => ({ shard, owner, epoch: 1, state: 'assigned', changedAt: null, load: null })),
  }) as ClusterPicture

describe('moves', () => {
  test('shards that go the same way are one move, with nodes and leader beside them', () => {
    const before = picture(['a@1', 'a@1', 'a@1', 'b@1'], ['a@1', 'b@1'], 'a@1')
    const after = picture(['b@1', 'b@1', 'c@1', 'b@1'], ['b@1', 'c@1'], 'b@1')

    expect(movesBetween(before, after).map(sentence)).toEqual([
      'c joined',
      'a left',
      'b leads',
      '2 shards: a → b',
      'Shard 2: a → c',
    ])
  })

  test('nothing moves where nothing has changed', () => {
    const same = picture(['a@1', null], ['a@1'])

    expect(movesBetween(same, same)).toEqual([])
  })

  test('a shard without an owner is lost, and found again', () => {
    const [owned, free] = [picture(['a@1'], []), picture([null], [])]

    expect(movesBetween(owned, free).map(sentence)).toEqual(['Shard 0 without an owner, before: a'])
    expect(movesBetween(free, owned).map(sentence)).toEqual(['Shard 0 went to a'])
  })

  test('moves of the past that belong together are one', () => {
    const at = '2026-11-27T10:00:00.100Z'
    const move = (shard: number, to: string) => ({ shard, from: 'a@1', to, epoch: 2, at })

    expect(pastMoves([move(3, 'b@1'), move(4, 'b@1'), move(5, 'c@1')]).map(({ shards }) => shards)).toEqual([
      [3, 4],
      [5],
    ])
  })

  test('ranges are written short', () => {
    expect(ranges([9, 0, 1, 2, 7])).toBe('0–2, 7, 9')
    expect(ranges([])).toBe('')
  })
})

describe('pages', () => {
  const rows = (...ids: string[]) => ids.map((id) => ({ id, version: 1 }))

  test('the newest page takes the place of what it reaches, and what is below stays', () => {
    const newest = [
      { id: 'e', version: 2 },
      { id: 'd', version: 2 },
      { id: 'c', version: 2 },
    ]

    expect(renewed(rows('d', 'c', 'b', 'a'), newest)).toEqual([...newest, ...rows('b', 'a')])
  })

  test('a row that no longer belongs there is gone', () => {
    expect(renewed(rows('d', 'c', 'b'), rows('d', 'b')).map(({ id }) => id)).toEqual(['d', 'b'])
  })

  test('a page full of new rows comes before all others', () => {
    expect(renewed(rows('b', 'a'), rows('z', 'y')).map(({ id }) => id)).toEqual(['z', 'y', 'b', 'a'])
  })
})

describe('bars', () => {
  const start = Date.UTC(2026, 10, 27, 10)
  const row = (hour: number, model: string, tokens: number) =>
    ({ from: new Date(start + hour * 3_600_000).toISOString(), model, tokens, cost: tokens / 100 }) as never
  const report = (breakdown: never[], hours = 3): UsageReport =>
    ({
      period: { start: new Date(start).toISOString(), end: new Date(start + hours * 3_600_000).toISOString() },
      breakdown,
    }) as unknown as UsageReport

  test('every hour has a bar, also those in which nothing was used', () => {
    const { times, series } = stacksOf(report([row(0, 'm', 5), row(2, 'm', 7)]), 'model', 'tokens', 'hourly')

    expect(times).toHaveLength(3)
    expect(series).toEqual([{ name: 'm', total: 12, values: [5, 0, 7] }])
  })

  test('small groups are drawn together, and nothing is left out', () => {
    const many = Array.from({ length: 9 }, (_, index) => row(0, `m${index}`, 10 + index))

    const { series } = stacksOf(report(many), 'model', 'tokens', 'hourly')

    expect(series.map(({ name }) => name)).toEqual(['m8', 'm7', 'm6', 'm5', 'm4', OTHERS])
    expect(series.reduce((sum, { total }) => sum + total, 0)).toBe(126)
  })

  test.each([0.003, 1, 7, 99, 12_345, 4e9])('lines for %d reach it, are few, and begin at nothing', (highest) => {
    const lines = ticks(highest)

    expect(lines[0]).toBe(0)
    expect(lines.at(-1)).toBeGreaterThanOrEqual(highest)
    expect(lines.length).toBeLessThanOrEqual(5)
  })
})

describe('addresses', () => {
  test('a place comes back from its address', () => {
    const hash = hashOf('sessions', 'session_0a3_01/x', { q: 'a&b=ä', at: '7-42', status: '' })

    expect(routeOf(hash)).toEqual({ view: 'sessions', id: 'session_0a3_01/x', query: { q: 'a&b=ä', at: '7-42' } })
  })

  test.each(['', '#', '#/nowhere', '#/%E0%A4%A'])('%s leads to the first view', (hash) => {
    expect(routeOf(hash)).toMatchObject({ view: 'cluster' })
  })
})
