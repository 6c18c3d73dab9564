/**
 * What the simulation takes for granted, each value with its source. All of it is printed, and each value can be given on
 * the command line: `npm run simulate -- --workers 500 --active-share 0.05`.
 */

import { MAX_SHARD_COUNT } from '../../src/config/schema.js'
import { MAX_LANES } from '../../src/shards/lane.js'

interface Assumption {
  readonly value: number
  readonly means: string
}

const assume = (value: number, means: string): Assumption => ({ value, means })

export const ASSUMPTIONS = {
  edges: assume(100, 'edges'),
  workers: assume(1_000, 'workers, of equal capacity'),
  sessions: assume(10_000_000, 'sessions that exist'),
  shards: assume(MAX_SHARD_COUNT, 'shards; the most that there can be'),
  lanes: assume(MAX_LANES, 'lanes of Redis Cluster, each on a primary of its own'),
  'active-share': assume(0.02, 'of the sessions have worked within the last minute'),
  'warm-share': assume(0.08, 'of the sessions have worked within the last 15 minutes; the others hibernate'),
  'commands-per-minute': assume(1, 'commands of an active session in a minute'),
  'tokens-per-command': assume(300, 'pieces of text that a command streams'),
  'pieces-per-flush': assume(2, 'pieces that leave in one flush (20 ms)'),
  watched: assume(0.05, 'of the sessions have a client that watches'),
  'active-bytes': assume(5_931, 'bytes of Redis for an active session (RESULTS.md, rest)'),
  'warm-bytes': assume(1_572, 'bytes of Redis for an idle one (RESULTS.md, rest)'),
  'command-us': assume(93, 'µs of Redis for a command with its two events (RESULTS.md, 10k)'),
  'flush-us': assume(39, 'µs of Redis for a flush of text, on a machine that others use too (RESULTS.md, stream)'),
  'resume-us': assume(30, 'µs of Redis for a resume: subscribe and read what is missing'),
  'beat-us': assume(60, 'µs of Redis a second for a node: its beat, the bell, the look at it'),
  'busy-share': assume(0.6, 'of a core that a Redis primary may use'),
  'connects-per-second': assume(500, 'connections that an edge takes, authenticates and resumes in a second'),
  seed: assume(1, 'of what is random'),
} as const satisfies Record<string, Assumption>

export type AssumptionName = keyof typeof ASSUMPTIONS
export type Assumed = Readonly<Record<AssumptionName, number>>

export const ASSUMPTION_NAMES = Object.keys(ASSUMPTIONS) as readonly AssumptionName[]

/** The usual values with others in the place of some. @throws RangeError for one that cannot be */
export function assumed(given: Readonly<Partial<Record<AssumptionName, string>>>): Assumed {
  const values = ASSUMPTION_NAMES.map((name) => [name, takenValue(name, given[name])] as const)
  const all = Object.fromEntries(values) as Record<AssumptionName, number>
  if (all.shards > MAX_SHARD_COUNT) throw new RangeError(`--shards is at most ${MAX_SHARD_COUNT}, not ${all.shards}`)
  if (all.lanes > MAX_LANES) throw new RangeError(`--lanes is at most ${MAX_LANES}, not ${all.lanes}`)
  return all
}

const WHOLE: readonly AssumptionName[] = ['edges', 'workers', 'sessions', 'shards', 'lanes', 'seed']

function takenValue(name: AssumptionName, text: string | undefined): number {
  if (text === undefined) return ASSUMPTIONS[name].value
  const value = Number(text)
  const isWhole = !WHOLE.includes(name) || (Number.isInteger(value) && value >= 1)
  const isShare = !name.endsWith('share') || value <= 1
  if (text !== '' && value > 0 && Number.isFinite(value) && isWhole && isShare) return value
  throw new RangeError(`--${name} is a number above 0, of ${ASSUMPTIONS[name].means}; not ${text}`)
}
