/**
 * All faults, and the order in which a seed draws them.
 */
import type { RandomInteger } from '../seeded-random.js'
import { flood, slowReader } from './clients.js'
import { clockSkew } from './clock-skew.js'
import type { Fault, Needs } from './fault.js'
import { leaderFreeze, workerFreeze } from './freezes.js'
import { crowdedEdgeKill, edgeKill, leaderKill, workerKill } from './kills.js'
import { modelCut, poison } from './model-faults.js'
import { rollingUpdate, scale } from './operations.js'
import { partition } from './partitions.js'
import { postgresFreeze, postgresStop } from './postgres-outage.js'
import { redisFailover, redisKill } from './redis-faults.js'

export const FAULTS: readonly Fault[] = [
  workerKill,
  edgeKill,
  crowdedEdgeKill,
  leaderKill,
  leaderFreeze,
  workerFreeze,
  redisKill,
  redisFailover,
  partition,
  postgresStop,
  postgresFreeze,
  slowReader,
  flood,
  poison,
  modelCut,
  rollingUpdate,
  scale,
  clockSkew,
]

/** Rows of the design's table that are no fault of their own here, and why. */
export const ELSEWHERE: Readonly<Record<string, string>> = {
  T8: 'failpoints of the store interface: in the contract tests, inside one process',
  T11: 'duplicates over several edges: part of the load of every run',
  T14: 'parallel budgets: there are no budgets yet',
}

export const TESTS: readonly string[] = [...new Set(FAULTS.map(({ test }) => test))]

/** What all of them need together. */
export function needsOf(faults: readonly Fault[]): Needs {
  return Object.assign({}, ...faults.map(({ needs }) => needs)) as Needs
}

/** Draws faults without end: first each once in random order, then by weight. */
export function* drawFaults(faults: readonly Fault[], random: RandomInteger): Generator<Fault, never> {
  yield* shuffled(faults, random)
  for (;;)
    yield* shuffled(
      faults.flatMap((fault) => Array.from({ length: fault.weight }, () => fault)),
      random,
    )
}

function shuffled<T>(items: readonly T[], random: RandomInteger): T[] {
  const result = [...items]
  for (let last = result.length - 1; last > 0; last--) {
    const other = random(0, last)
    const [a, b] = [result[last] as T, result[other] as T]
    result[last] = b
    result[other] = a
  }
  return result
}
