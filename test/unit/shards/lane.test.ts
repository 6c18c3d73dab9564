/**
 * Lane tags are part of every stored key.
 */
import { describe, expect, test } from 'vitest'
import { laneOf, laneTag, MAX_LANES, shardTag } from '../../../src/shards/lane.js'

const SLOTS = 16_384

describe('lane tags', () => {
  test('the tags of the sixteen lanes never change', () => {
    const tags = Array.from({ length: MAX_LANES }, (_unused, lane) => laneTag(lane))

    expect(tags.join(' ')).toBe('10 3 61 43 11 2 60 42 12 1 63 41 13 0 62 40')
  })

  test('the tags hash to these Redis Cluster slots', () => {
    const slots = Array.from({ length: MAX_LANES }, (_unused, lane) => slotOf(laneTag(lane)))

    expect(slots).toEqual([
      247, 1584, 2369, 3937, 4310, 5649, 6496, 8000, 8373, 9842, 10499, 12067, 12436, 13907, 14626, 16130,
    ])
  })

  test.each([2, 3, 4, 8, 16])('the tags spread as evenly as they can over %i equal slot ranges', (masters) => {
    const perMaster = new Array<number>(masters).fill(0)
    for (let lane = 0; lane < MAX_LANES; lane++) {
      const master = Math.floor((slotOf(laneTag(lane)) * masters) / SLOTS)
      perMaster[master] = (perMaster[master] ?? 0) + 1
    }

    expect(Math.max(...perMaster) - Math.min(...perMaster)).toBeLessThanOrEqual(1)
  })

  test('with one lane every shard shares the first tag', () => {
    expect([0, 17, 255].map((shard) => shardTag(shard, 1))).toEqual(['10', '10', '10'])
  })

  test('with sixteen lanes neighbouring shards use different tags and every lane gets as many shards', () => {
    const perLane = new Map<number, number>()
    for (let shard = 0; shard < 256; shard++) perLane.set(laneOf(shard, 16), (perLane.get(laneOf(shard, 16)) ?? 0) + 1)

    expect([...perLane.values()]).toEqual(new Array(16).fill(16))
  })

  test('a lane that does not exist is refused', () => {
    expect(() => laneTag(16)).toThrow('there is no lane 16')
  })
})

// CRC16-CCITT (XMODEM), as the Redis Cluster specification defines key slots.
function slotOf(tag: string): number {
  let crc = 0
  for (const byte of Buffer.from(tag)) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? ((crc << 1) ^ 0x1021) & 0xffff : (crc << 1) & 0xffff
  }
  return crc % SLOTS
}
