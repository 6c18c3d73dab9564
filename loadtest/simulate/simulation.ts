/**
 * A cluster that no machine here can hold, from what one machine can measure and from the code that deals out shards.
 */
import { seededRandom } from '../../src/chaos/seeded-random.js'
import type { Outcome, Table } from '../scenarios/scenario.js'
import { ASSUMPTION_NAMES, ASSUMPTIONS, type Assumed } from './assumptions.js'
import { type RedisLoad, redisLoad } from './redis-load.js'
import { type Churn, churn, dealt, perWorker, type Spread, sessionsByShard, spreadOf, workersOf } from './ring.js'
import { type StormResult, storm } from './storm.js'

const US_PER_SECOND = 1_000_000
const BYTES_PER_GB = 1_000_000_000
/** Of the workers, lost together: a rack, a zone. */
const RACK = 0.1

export function simulate(assumed: Assumed): Outcome {
  const { edges, workers, sessions, shards } = assumed
  const ring = ringFigures(assumed)
  const redis = redisLoad(assumed)
  const storms = stormFigures(assumed)
  return {
    summary: `Computed, not measured: ${count(edges)} edges, ${count(workers)} workers, ${count(sessions)} sessions in ${count(shards)} shards.`,
    versions: {},
    tables: [
      spreadTable(ring.spreads),
      churnTable(ring.churns, sessions / shards),
      redisTable(redis, assumed),
      stormTable(storms, assumed),
      assumptionTable(assumed),
    ],
    notes: notesOf(assumed, redis),
    figures: { assumed, ring, redis, storms },
    faults: [],
  }
}

interface NamedSpread extends Spread {
  readonly name: string
}

function ringFigures({ shards, workers: workerCount, sessions }: Assumed) {
  const workers = workersOf(workerCount)
  const owners = dealt(shards, workers)
  const bySession = sessionsByShard(sessions, shards)
  const spreads: NamedSpread[] = [
    { name: 'shards of a worker', ...spreadOf(perWorker(owners, workers, () => 1)) },
    { name: 'sessions of a shard', ...spreadOf([...bySession]) },
    { name: 'sessions of a worker', ...spreadOf(perWorker(owners, workers, (shard) => bySession[shard] ?? 0)) },
  ]
  const rack = Math.max(1, Math.round(workerCount * RACK))
  const change = (what: string, after: typeof workers): Churn => churn(what, shards, owners, workers, after)
  const churns = [
    change('one worker dies', workers.slice(1)),
    change(`${count(rack)} workers die together`, workers.slice(rack)),
    change('one worker joins', workersOf(workerCount + 1)),
    change(`${count(rack)} workers join`, workersOf(workerCount + rack)),
  ]
  return { spreads, churns: churns.filter(({ what }) => workerCount > 1 || !what.includes('die')) }
}

interface NamedStorm extends StormResult {
  readonly name: string
}

function stormFigures(assumed: Assumed): NamedStorm[] {
  const { edges, sessions, watched, seed } = assumed
  const clients = Math.round(sessions * watched)
  const run = (name: string, lostEdges: number): NamedStorm => ({
    name,
    ...storm({
      ...{ edges, lostEdges, clients, connectsPerSecond: assumed['connects-per-second'] },
      random: seededRandom(seed),
    }),
  })
  const tenth = Math.max(1, Math.round(edges * RACK))
  return [
    run('one edge dies', 1),
    run(`${count(tenth)} edges die together`, tenth),
    run('the load balancer restarts', edges),
  ]
}

const count = (value: number): string => Math.round(value).toLocaleString('en-US')
const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`
const percent = (share: number): string => `${(share * 100).toFixed(0)} %`

const spreadTable = (spreads: readonly NamedSpread[]): Table => ({
  head: ['balance', 'least', 'median', 'most', 'mean', 'most over mean'],
  rows: spreads.map(({ name, min, median, max, mean }) => [
    ...[name, count(min), count(median), count(max), mean < 100 ? mean.toFixed(1) : count(mean)],
    `+${percent(max / mean - 1)}`,
  ]),
})

const churnTable = (churns: readonly Churn[], sessionsPerShard: number): Table => ({
  head: ['when', 'shards taken over', 'moved although owned', 'planned rounds', 'sessions concerned'],
  rows: churns.map(({ what, orphans, planned, rounds }) => [
    ...[what, count(orphans), count(planned), count(rounds)],
    count((orphans + planned) * sessionsPerShard),
  ]),
})

function redisTable(redis: RedisLoad, { lanes }: Assumed): Table {
  const { commands, text, nodes } = redis.cores
  const all = commands + text + nodes
  return {
    head: ['Redis', 'all', `each of ${lanes} primaries`],
    rows: [
      ['memory', gb(redis.bytes), gb(redis.bytes / lanes)],
      ['commands/s', count(redis.commandsPerSecond), count(redis.commandsPerSecond / lanes)],
      ['flushes of text/s', count(redis.flushesPerSecond), count(redis.flushesPerSecond / lanes)],
      ['cores: commands · text · nodes', [commands, text, nodes].map((value) => value.toFixed(2)).join(' · '), ''],
      ['cores', all.toFixed(2), (all / lanes).toFixed(2)],
    ],
  }
}

const gb = (bytes: number): string => `${(bytes / BYTES_PER_GB).toFixed(2)} GB`

const stormTable = (storms: readonly NamedStorm[], assumed: Assumed): Table => ({
  head: [
    'when',
    'clients cut off',
    'half back',
    '99 % back',
    'all back',
    'tries in vain',
    'resumes/s at most',
    'Redis cores for them',
  ],
  rows: storms.map(({ name, cutOff, halfMs, mostMs, allMs, retries, resumesPerSecond }) => [
    ...[name, count(cutOff), seconds(halfMs), seconds(mostMs), seconds(allMs), count(retries), count(resumesPerSecond)],
    ((resumesPerSecond * assumed['resume-us']) / US_PER_SECOND).toFixed(2),
  ]),
})

const assumptionTable = (assumed: Assumed): Table => ({
  head: ['assumed', 'value', 'meaning'],
  rows: ASSUMPTION_NAMES.map((name) => [`--${name}`, String(assumed[name]), ASSUMPTIONS[name].means]),
})

function notesOf({ lanes, workers, shards }: Assumed, { primaries }: RedisLoad): string[] {
  const enough = `Redis needs ${primaries} of at most ${lanes} primaries for this load.`
  const few = `Redis would need ${primaries} primaries; there are ${lanes} lanes, so this load is too much for one cluster.`
  const grain =
    shards < workers
      ? [`${count(workers - shards)} workers would have nothing to do: a shard is the least that one has.`]
      : []
  return [primaries <= lanes ? enough : few, ...grain]
}
