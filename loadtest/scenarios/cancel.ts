/**
 * How fast a cancel overtakes: tasks that stream are cancelled one after the other, with others waiting behind them, while
 * other sessions keep the cluster at work. The time runs from the client's message to the end that it hears of.
 */
import { type Client, connect, type SessionHandle } from '../../src/client/client.js'
import { type LoadService, startCluster, startStandalone } from '../cluster/cluster.js'
import type { Report } from '../generator/plan.js'
import { generateLoad } from '../generator/start.js'
import { percentile } from '../measure/tables.js'
import { planFor } from './peak.js'
import { type Outcome, type Stage, sizeOf } from './scenario.js'

const CANCELS = 100
/** Tasks in the inbox behind the one that is cancelled: it must not wait for them, nor they for it. */
const BEHIND = 5
const AIM_MS = 500
const LOAD = { rate: 400, connections: 100, seconds: 40 }
type Load = typeof LOAD
const LONG = { echo: { count: 10_000, bytes: 8, delayMs: 20 } }

export async function cancel(stage: Stage): Promise<Outcome> {
  const { seconds = LOAD.seconds, connections = LOAD.connections, rate = LOAD.rate } = stage.options
  const cluster = await startCluster(stage.teardown, sizeOf(stage.options))
  stage.say('Redis, PostgreSQL, coordinator, workers, edge: ready.')
  const load = { seconds, connections, rate }
  const inCluster = await measure(stage, cluster, load)
  const alone = await measure(stage, await startStandalone(stage.teardown), load)
  const rows = [row('cluster', inCluster), row('one process', alone)]
  const runs = [inCluster, alone]
  return {
    summary: `${CANCELS} streaming tasks cancelled, ${BEHIND} others behind each, under ${rate} commands/s of ${connections} other sessions; in a cluster, and in one process with its built-in database.`,
    versions: cluster.stores.versions,
    tables: [{ head: ['cancel in', 'count', 'p50', 'p99', 'max'], rows }],
    notes: [`From the client’s message to \`task_cancelled\` at the client; the aim is ${AIM_MS} ms.`],
    figures: { cluster: inCluster, alone },
    faults: runs.flatMap(({ timesMs, report }) => [
      ...report.faults,
      ...timesMs.filter((ms) => ms > AIM_MS).map((ms) => `a cancel took ${Math.round(ms)} ms`),
    ]),
  }
}

interface Cancels {
  readonly timesMs: readonly number[]
  readonly report: Report
}

function row(where: string, { timesMs }: Cancels): string[] {
  const at = [0.5, 0.99, 1].map((share) => `${percentile(timesMs, share).toFixed(1)} ms`)
  return [where, String(timesMs.length), ...at]
}

async function measure(stage: Stage, service: LoadService, { connections, seconds, rate }: Load): Promise<Cancels> {
  const client = await connect({ urls: service.edges.map(({ url }) => url), token: service.tokens[0] ?? '' })
  stage.teardown.add('the cancelling client', async () => client.close())
  let begin: () => void = () => {}
  const warm = new Promise<void>((resolve) => {
    begin = resolve
  })
  const load = generateLoad({ ...planFor(service, connections, seconds), rate }, { onMeasuring: () => begin() })
  await Promise.race([warm, load])
  const timesMs: number[] = []
  for (let n = 0; n < CANCELS; n++) timesMs.push(await cancelOne(client))
  return { timesMs, report: await load }
}

async function cancelOne(client: Client): Promise<number> {
  const session = await client.spawn({ sessionType: 'echo', task: { description: 'long', metadata: LONG } })
  const ended = session.result()
  await streams(session)
  const behind = Array.from({ length: BEHIND }, () => session.execute({ description: 'next' }))
  const askedAt = performance.now()
  void session.cancel().catch(() => undefined)
  await ended
  const tookMs = performance.now() - askedAt
  await Promise.all(behind)
  await session.stop()
  return tookMs
}

async function streams(session: SessionHandle): Promise<void> {
  for await (const { type } of session) if (type === 'stream_chunk') return
}
