/**
 * What the figures of a long fault run must be.
 */
import { expect, test } from 'vitest'
import { failuresOf, type LongReport } from '../../../scripts/faults/figures.js'
import type { FaultFigures } from '../../../src/chaos/checker/fault-figures.js'

const none = { count: 0, p50: 0, p99: 0, max: 0 }
const traffic = { sent: 0, accepted: 0, acceptedShare: 1, acceptMs: none, endMs: none }

const kind = (test: string, fault: FaultFigures['fault'], withWorkOnVictim: number, p99 = 0): FaultFigures => ({
  ...{ test, fault, runs: 20, withCommandsInFlight: 20, withWorkOnVictim },
  ...{ sent: 0, lost: 0, doubled: 0, takeoverMs: { ...none, p99 }, resumeMs: none },
})

const good = [
  kind('T1', 'worker-kill', 20),
  kind('T2', 'edge-kill', 5),
  { ...kind('T2', 'edge-kill', 5), variant: '2000 sockets' },
  kind('T4', 'worker-freeze', 10),
  kind('T6', 'redis-failover', 12),
  kind('T7', 'partition', 15),
]

const report = (faults: readonly FaultFigures[], runs: number): LongReport => ({
  ...{ ok: true, seed: 1, guarantees: [], complaints: [] },
  figures: { faults, outsideFaults: traffic, seconds: 1 },
  load: { counts: { sent: 0, ended: 0, refused: 0, repeated: 0, duplicates: 0 }, open: 0 },
  faults: Array.from({ length: runs }, () => ({})),
})

test('ten runs with work of each row that takes work away are enough, however they are spread over its kinds', () => {
  expect(failuresOf(report(good, 100))).toEqual([])
})

test('a long run that found too little work names the row, and a short one is not asked', () => {
  const idle = good.map((each) => (each.test === 'T6' ? { ...each, withWorkOnVictim: 9 } : each))

  expect(failuresOf(report(idle, 100))).toEqual(['T6 found work on its victim 9 times; 10 are to be'])
  expect(failuresOf(report(idle, 99))).toEqual([])
})

test('a takeover that was too slow is named with its bound', () => {
  expect(failuresOf(report([kind('T1', 'worker-kill', 1, 4_100)], 1))).toEqual([
    'takeover p99 after worker-kill was 4100 ms; at most 4000 ms is promised',
  ])
})
