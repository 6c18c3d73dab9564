/**
 * How long a shard was read by nobody, by the logs of its two owners.
 */
import { expect, test } from 'vitest'
import { PauseLog } from '../../loadtest/scenarios/pause-log.js'

const line = (time: number, msg: string, shard: number, epoch: number) => JSON.stringify({ time, shard, epoch, msg })
const STOPPED = 'a shard is not read here any more'
const BEGUN = 'a shard is read here'

test('a pause is measured from the end of one epoch to the start of the next, in whatever order the lines come', () => {
  const log = new PauseLog()

  log.read(line(1_030, BEGUN, 7, 4))
  log.read(line(1_000, STOPPED, 7, 3))
  log.read(line(1_004, STOPPED, 8, 5))
  log.read(line(1_050, BEGUN, 8, 6))
  log.read(line(2_000, STOPPED, 7, 4))
  log.read('not about shards')

  expect(log.ms).toEqual([30, 46])
})
