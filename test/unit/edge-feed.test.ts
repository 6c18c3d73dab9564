/**
 * Events that a client has not acknowledged.
 */
import { expect, test } from 'vitest'
import { Unacknowledged } from '../../src/edge/feed/unacknowledged.js'

test('what is not acknowledged is told again, and not for ever', () => {
  const kept = new Unacknowledged()
  kept.add('a', 'frame a', 0)
  kept.add('b', 'frame b', 0)
  kept.acknowledge(['b', 'never heard of'])

  expect(kept.due(29_999)).toEqual([])
  expect(kept.due(30_000)).toEqual(['frame a'])
  expect(kept.due(30_001)).toEqual([])
  expect(kept.due(60_000)).toEqual(['frame a'])
  expect(kept.due(1_000_000)).toEqual([])
})

test('of very much only the newest is told again', () => {
  const [many, long] = [new Unacknowledged(), new Unacknowledged()]
  for (let at = 0; at < 1_500; at++) many.add(`e-${at}`, `frame ${at}`, 0)
  for (let at = 0; at < 4; at++) long.add(`e-${at}`, String(at).repeat(400_000), 0)

  expect(many.due(30_000)).toHaveLength(1_000)
  expect(many.due(60_000).at(-1)).toBe('frame 1499')
  expect(long.due(30_000).map((frame) => frame[0])).toEqual(['2', '3'])
})
