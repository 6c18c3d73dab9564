/**
 * How fast a cancel overtakes: tasks that stream are cancelled one after the other, with others waiting behind them, while
 * other sessions keep the cluster at work. The time runs from the client's message to the end that it hears of.
 */
import { type Client, connect, type SessionHandle } from '../../src/client/client.js'
import { startCluster } from '../cluster/cluster.js'
import { generateLoad } from '../generator/start.js'
import { percentile } from '../measure/tables.js'
import { planFor } from './peak.js'
import { type Outcome, type Stage, sizeOf } from './scenario.js'

const CANCELS = 100
/** Tasks in the inbox behind the one that is cancelled: it must not wait for them, nor they for it. */
const BEHIND = 5
const AIM_MS = 500
const LOAD = { rate: 400, connections: 100, seconds: 40 }
const LONG = { echo: { count: 10_000, bytes: 8, delayMs: 20 } }

export async function cancel(stage: Stage): Promise<Outcome> {
  const cluster = await startCluster(stage.teardown, sizeOf(stage.options))
  stage.say('Redis, PostgreSQL, coordinator, workers, edge: ready.')
  const client = await connect({ urls: cluster.edges.map(({ url }) => url), token: cluster.tokens[0] ?? '' })
  stage.teardown.add('the cancelling client', async () => client.close())
  const { seconds = LOAD.seconds, connections = LOAD.connections, rate = LOAD.rate } = stage.options
  let begin: () => void = () => {}
  const warm = new Promise<void>((resolve) => {
    begin = resolve
  })
  const load = generateLoad({ ...planFor(cluster, connections, seconds), rate }, { onMeasuring: () => begin() })
  await Promise.race([warm, load])
  const timesMs: number[] = []
  for (let n = 0; n < CANCELS; n++) timesMs.push(await cancelOne(client))
  const report = await load
  const row = [0.5, 0.99, 1].map((share) => `${percentile(timesMs, share).toFixed(1)} ms`)
  return {
    summary: `${CANCELS} streaming tasks cancelled, ${BEHIND} others behind each, under ${rate} commands/s of ${connections} other sessions.`,
    versions: cluster.stores.versions,
    tables: [{ head: ['measure', 'count', 'p50', 'p99', 'max'], rows: [['cancel', String(CANCELS), ...row]] }],
    notes: [`From the client’s message to \`task_cancelled\` at the client; the aim is ${AIM_MS} ms.`],
    figures: { timesMs, report },
    faults: [
      ...report.faults,
      ...timesMs.filter((ms) => ms > AIM_MS).map((ms) => `a cancel took ${Math.round(ms)} ms`),
    ],
  }
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
