/**
 * `chaos verify`: starts a cluster of real processes, puts load on it, harms it, and judges by the journals whether every
 * guarantee held. Everything that it starts is on the teardown's list.
 */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EffectServer } from './effect-server.js'
import { FakeProvider } from './fake-provider.js'
import { edgesOf, FaultRunner } from './fault-runner.js'
import type { Fault } from './faults/fault.js'
import { needsOf } from './faults/faults.js'
import { type EffectLine, type FaultLine, type ModelLine, now, type RunLine } from './journal.js'
import { JournalWriter, journalFiles } from './journal-file.js'
import { LoadProcess } from './load/load-process.js'
import type { LoadReport, Mix } from './load/plan.js'
import { Nodes } from './nodes.js'
import { seededRandom } from './seeded-random.js'
import { temporaryFolder } from './servers/watchdog.js'
import { ChaosStores, type ReadStores } from './stores.js'
import type { Teardown } from './teardown.js'

const SECOND_MS = 1_000
const MINUTE_MS = 60_000
/** What was accepted must have ended by then after everything has healed: the definition of lost. */
const LOST_AFTER_MS = 60_000
/** Everything that is not a quick session; small beside the rate. */
const SLOW_MIX = { streaming: 24, agents: 12, controlled: 8 }
/** One quick session for so many commands a second. */
const RATE_PER_SESSION = 8
const MIN_QUICK = 16
const DUPLICATES_PERCENT = 2

export interface VerifyOptions {
  readonly minutes: number
  readonly seed: number
  readonly faults: readonly Fault[]
  readonly workers: number
  readonly edges: number
  readonly coordinators: number
  /** Quick commands a second. */
  readonly rate: number
  /** Nodes find Redis by a Sentinel, which fails over. */
  readonly sentinel: boolean
  /** Client sockets on an edge that is killed under many. */
  readonly sockets: number
  /** For how many seconds PostgreSQL is to be away the first time; default 2 to 20, by the seed. */
  readonly postgresAway?: number
  /** Keep the journals and logs. */
  readonly keep: boolean
  readonly redisUrl?: string
  readonly databaseUrl?: string
  /** Is told what happens. */
  readonly tell: (sentence: string) => void
}

export interface RunOutcome {
  readonly folder: string
  readonly load: LoadReport
  readonly runner: Pick<FaultRunner, 'records' | 'complaints'>
  readonly run: RunLine
  readonly stores: ReadStores
}

/** Runs the cluster, the load and the faults. What they did stands in the journals of `folder`. */
export async function runFaults(options: VerifyOptions, teardown: Teardown): Promise<RunOutcome> {
  const folder = openFolder(options.keep, teardown)
  const stage = await openStage(options, folder, teardown)
  const { nodes, stores, provider } = stage
  const { tell, sockets, sentinel: bySentinel, postgresAway } = options
  const away = postgresAway === undefined ? {} : { postgresAwayMs: postgresAway * SECOND_MS }
  tell(`Seed ${options.seed}. ${nodes.all().length} nodes and the load are ready.`)
  const began = now()
  const faults = new JournalWriter<FaultLine>(journalFiles.faults(folder))
  const runner = new FaultRunner({
    parts: {
      nodes,
      stores,
      provider,
      load: stage.load,
      random: seededRandom(options.seed),
      sockets,
      bySentinel,
      ...away,
    },
    append: (line) => faults.append(line),
    tell,
  })
  const deadline = performance.now() + options.minutes * MINUTE_MS
  await runner.run(options.faults, () => performance.now() > deadline)
  const load = await stage.load.finish(LOST_AFTER_MS)
  for (const journal of [faults, ...stage.journals]) journal.close()
  const ended = now()
  const run: RunLine = { kind: 'run', seed: options.seed, began, loadEnded: ended, ended }
  return { folder, load, runner, run, stores }
}

function openFolder(keep: boolean, teardown: Teardown): string {
  if (keep) return mkdtempSync(join(tmpdir(), 'orchestrator-chaos-'))
  const folder = temporaryFolder()
  teardown.add('the temporary folder', () => folder.remove())
  return folder.path
}

async function openStage(options: VerifyOptions, folder: string, teardown: Teardown) {
  const { redisUrl, databaseUrl, seed, sentinel } = options
  const needs = needsOf(options.faults)
  const stores = await ChaosStores.open(teardown, {
    replica: needs.replica ?? false,
    sentinel,
    ...(redisUrl !== undefined && { redisUrl }),
    ...(databaseUrl !== undefined && { databaseUrl }),
  })
  const effectJournal = new JournalWriter<EffectLine>(journalFiles.effects(folder, 'tools'))
  const effects = await teardown.open(
    'the tool server',
    EffectServer.start((line) => effectJournal.append(line), seededRandom(seed)),
  )
  const modelJournal = new JournalWriter<ModelLine>(journalFiles.models(folder, 'provider'))
  const provider = await teardown.open(
    'the model provider',
    FakeProvider.start({
      ...{ effects, random: seededRandom(seed) },
      append: (line) => modelJournal.append(line),
      nodeOf: (token) => nodes.idOfToken(token),
    }),
  )
  const nodes = new Nodes({
    ...{ folder: join(folder, 'nodes'), stores, teardown, proxied: needs.proxies === true && !sentinel },
    env: (token) => ({
      ...{ OPENAI_BASE_URL: provider.url(token), OPENAI_API_KEY: 'none', WEB_FETCH_ALLOW_PRIVATE: 'true' },
    }),
  })
  await startNodes(nodes, options)
  const load = await startLoad(nodes, options, folder, teardown)
  return { nodes, stores, provider, load, journals: [effectJournal, modelJournal] }
}

async function startNodes(nodes: Nodes, { workers, edges, coordinators }: VerifyOptions): Promise<void> {
  const numbered = (count: number, role: 'worker' | 'edge' | 'coordinator') =>
    Array.from({ length: count }, (_, n) => nodes.add(role, `${role}-${n + 1}`))
  await Promise.all([...numbered(workers, 'worker'), ...numbered(edges, 'edge')])
  // Last, so that the first round deals all shards evenly.
  await Promise.all(numbered(coordinators, 'coordinator'))
}

async function startLoad(nodes: Nodes, options: VerifyOptions, folder: string, teardown: Teardown) {
  const load = new LoadProcess()
  teardown.add('the load', () => load.stop())
  const mix: Mix = { ...SLOW_MIX, quick: Math.max(MIN_QUICK, Math.ceil(options.rate / RATE_PER_SESSION)) }
  const { seed, rate } = options
  await load.start({ seed, folder, edges: edgesOf(nodes), mix, rate, duplicatesPercent: DUPLICATES_PERCENT })
  return load
}
