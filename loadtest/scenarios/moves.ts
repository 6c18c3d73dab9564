/**
 * Planned moves under load: shards go from worker to worker while clients use their sessions. Workers say when they stop
 * and when they begin to read a shard; watched clients see how long their commands wait; the books of all others must be
 * exact.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { connect } from '../../src/client/client.js'
import { type LoadCluster, startCluster } from '../cluster/cluster.js'
import { generateLoad } from '../generator/start.js'
import { percentile } from '../measure/tables.js'
import { PauseLog } from './pause-log.js'
import { planFor } from './peak.js'
import { Probe } from './probe.js'
import { type Outcome, type Stage, sizeOf, type Table } from './scenario.js'

const WORKERS = 3
const MOVES = 200
/** Moved together, within the bound of a planned round. */
const SHARDS = 10
/** Commands of other sessions a second, the connections that they come from, and for how long. */
const LOAD = { rate: 400, connections: 100, seconds: 60 }
/** Commands that are due so soon before a round of moves may still meet it. */
const MARGIN_MS = 100
const ROUND_TIMEOUT_MS = 20_000
const POLL_MS = 20

export async function moves(stage: Stage): Promise<Outcome> {
  const pauses = new PauseLog()
  const { edges, workers } = sizeOf(stage.options)
  const size = { edges, workers: Math.max(WORKERS, workers) }
  const cluster = await startCluster(stage.teardown, size, { LOG_LEVEL: 'debug' }, (line) => pauses.read(line))
  stage.say(`Redis, PostgreSQL, 1 coordinator, ${size.workers} workers, ${size.edges} edge: ready.`)
  const client = await connect({ urls: cluster.edges.map(({ url }) => url), token: cluster.tokens[0] ?? '' })
  stage.teardown.add('the watching client', async () => client.close())
  const probes = await Probe.onShards(client, SHARDS)
  const { seconds = LOAD.seconds, connections = LOAD.connections, rate = LOAD.rate } = stage.options
  // Begins when the generator has warmed everything up.
  let begin: () => void = () => {}
  const warm = new Promise<void>((resolve) => {
    begin = resolve
  })
  const load = generateLoad({ ...planFor(cluster, connections, seconds), rate }, { onMeasuring: () => begin() })
  await Promise.race([warm, load])
  pauses.clear()
  for (const probe of probes) probe.start()
  for (let moved = 0; moved < MOVES; moved += SHARDS) {
    await moveAll(cluster, probes)
    if ((moved + SHARDS) % 50 === 0) stage.say(`${moved + SHARDS} of ${MOVES} moves`)
  }
  await Promise.all(probes.map((probe) => probe.stop()))
  const report = await load
  const waits = probes.flatMap((probe) => probe.waitsMs)
  const quiet = probes.flatMap((probe) => probe.quietMs)
  return {
    summary: `${MOVES} planned moves of ${SHARDS} shards at a time among ${size.workers} workers, under ${rate} commands/s of ${connections} other sessions.`,
    versions: cluster.stores.versions,
    tables: [table(pauses.ms, waits, quiet)],
    notes: [
      'A pause is the time from the moment that the former owner reads a shard no more until the next one reads it, by their logs.',
      'A wait is the longest time that a command of a watched session took, from when it was due, in one of the moves of its shard.',
    ],
    figures: { pausesMs: pauses.ms, waitsMs: waits, report },
    faults: [...report.faults, ...probes.flatMap((probe) => probe.faults), ...missing(pauses.ms)],
  }
}

/** Sends each watched shard to another worker, and resolves when all are there. */
async function moveAll(cluster: LoadCluster, probes: readonly Probe[]): Promise<void> {
  const nodes = cluster.workers.map(({ node }) => node)
  const before = await cluster.stores.owners()
  const wanted = probes.map(({ shard }) => ({ shard, target: after(nodes, before.get(shard)) }))
  for (const probe of probes) probe.moveBegins(MARGIN_MS)
  await cluster.stores.requestMoves(wanted)
  const deadline = performance.now() + ROUND_TIMEOUT_MS
  for (;;) {
    const owners = await cluster.stores.owners()
    if (wanted.every(({ shard, target }) => owners.get(shard) === target)) break
    if (performance.now() > deadline) throw new Error(`shards did not move within ${ROUND_TIMEOUT_MS} ms`)
    await sleep(POLL_MS)
  }
  // What was submitted to the former owner is answered by the next one.
  await sleep(MARGIN_MS)
  await Promise.all(probes.map((probe) => probe.moveEnds()))
}

const after = (nodes: readonly string[], owner: string | undefined): string =>
  nodes[(nodes.indexOf(owner ?? '') + 1) % nodes.length] ?? ''

function table(pauses: readonly number[], waits: readonly number[], quiet: readonly number[]): Table {
  const row = (name: string, values: readonly number[]) => [
    name,
    String(values.length),
    ...[0.5, 0.99, 1].map((share) => `${percentile(values, share).toFixed(1)} ms`),
  ]
  return {
    head: ['measure', 'count', 'p50', 'p99', 'max'],
    rows: [
      row('pause of a shard', pauses),
      row('longest wait of a command in a move', waits),
      row('latency of commands between moves', quiet),
    ],
  }
}

const missing = (pauses: readonly number[]): string[] =>
  pauses.length < MOVES ? [`${MOVES - pauses.length} moves left no trace in the workers' logs`] : []
