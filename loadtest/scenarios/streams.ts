/**
 * How many llm sessions can stream at the same time: their number doubles until the text comes too late, and is then
 * narrowed down between the last that was well served and the first that was not.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { LoadCluster } from '../cluster/cluster.js'
import { cpuTimes, type Members, residentByName } from '../measure/processes.js'
import { PIECES_PER_SECOND } from '../streams/piece.js'
import { StreamClients, startModel } from '../streams/processes.js'
import type { StreamReport } from '../streams/stream-meter.js'
import { nodesOf, ready } from './peak.js'
import type { Outcome, Stage, Table } from './scenario.js'

const FIRST = 100
/** Far above what a worker holds on two cores. */
const MAX_SESSIONS = 6_400
const AIM_MS = 15
const SECONDS = 15
/** The compilers, the interval of the flushes and the balance of memory have settled by then. */
const SETTLE_MS = 10_000
/** Of the pieces that the model writes; below it, text piles up somewhere. */
const MIN_DELIVERED = 0.98
/** The answer is known well enough when the last two numbers are so close. */
const CLOSE = 0.1
const ROUND_TO = 10
/** A process that is alone on its core and busy for longer than that may be what is measured. */
const BUSY_PERCENT = 85
const US_PER_SECOND = 1_000_000
const BYTES_PER_MB = 1_000_000
const PERCENT = 100
/** As the worker's page has it, in seconds. */
const INTERVAL = /^orchestrator_text_flush_interval_seconds (\S+)$/m

export async function streams(stage: Stage): Promise<Outcome> {
  const model = await startModel(stage.teardown)
  const env = { OPENAI_BASE_URL: model.url, OPENAI_API_KEY: 'none', OPENAI_MODEL: 'load' }
  const { seconds = SECONDS, connections: first = FIRST } = stage.options
  const cluster = await ready(stage, undefined, env)
  const clients = await StreamClients.start(stage.teardown, cluster)
  const members = { ...cluster.members, model: [model.pid], clients: [clients.pid] }
  const steps: Step[] = []
  const refusals: string[] = []
  await search(first, async (sessions) => {
    try {
      const step = await measure({ cluster, clients, members, seconds, sessions })
      steps.push(step)
      stage.say(sentence(step))
      return isWell(step)
    } catch (error) {
      // More than it can begin is more than it can serve.
      refusals.push(
        `${sessions} sessions could not be begun: ${error instanceof Error ? error.message : String(error)}`,
      )
      stage.say(refusals.at(-1) ?? '')
      return false
    }
  })
  return outcome(steps, refusals, cluster)
}

/** Asks for numbers of sessions until the largest that goes well is known to a tenth. */
export async function search(first: number, goesWell: (sessions: number) => Promise<boolean>): Promise<number> {
  let good = 0
  let bad = first
  while (await goesWell(bad)) {
    good = bad
    bad *= 2
    if (bad > MAX_SESSIONS) return good
  }
  while (bad - good > Math.max(ROUND_TO, good * CLOSE)) {
    const between = Math.round((good + bad) / 2 / ROUND_TO) * ROUND_TO
    if (between <= good || between >= bad) break
    if (await goesWell(between)) good = between
    else bad = between
  }
  return good
}

interface Step {
  readonly sessions: number
  readonly report: StreamReport
  /** For how long the workers gathered text at the end, in ms; the longest of them. */
  readonly intervalMs: number
  /** In percent of one core, by process. */
  readonly cpuPercent: Readonly<Record<string, number>>
  readonly residentMb: Readonly<Record<string, number>>
}

interface Measuring {
  readonly cluster: LoadCluster
  readonly clients: StreamClients
  readonly members: Members
  readonly seconds: number
  readonly sessions: number
}

async function measure({ cluster, clients, members, seconds, sessions }: Measuring): Promise<Step> {
  await clients.hold(sessions)
  await sleep(SETTLE_MS)
  const before = cpuTimes(members)
  const report = await clients.measure(seconds)
  const after = cpuTimes(members)
  const percent = (name: string): number =>
    Math.round((((after[name] ?? 0) - (before[name] ?? 0)) / US_PER_SECOND / report.seconds) * PERCENT)
  const resident = Object.entries(residentByName(members))
  return {
    ...{ sessions, report, intervalMs: await flushInterval(cluster) },
    cpuPercent: Object.fromEntries(Object.keys(after).map((name) => [name, percent(name)])),
    residentMb: Object.fromEntries(resident.map(([name, bytes]) => [name, Math.round(bytes / BYTES_PER_MB)])),
  }
}

async function flushInterval({ workers }: LoadCluster): Promise<number> {
  const pages = await Promise.all(workers.map(async ({ metricsUrl }) => (await fetch(metricsUrl)).text()))
  return Math.max(...pages.map((page) => Math.round(Number(INTERVAL.exec(page)?.[1] ?? 0) * 1_000)))
}

const delivered = ({ sessions, report }: Step): number =>
  report.pieces / (sessions * PIECES_PER_SECOND * report.seconds)

const isWell = (step: Step): boolean =>
  step.report.added.p99 <= AIM_MS && step.report.faults.length === 0 && delivered(step) >= MIN_DELIVERED

function sentence(step: Step): string {
  const { p50, p99 } = step.report.added
  const verdict = isWell(step) ? 'well' : 'too late'
  const came = `${Math.round(delivered(step) * PERCENT)} % of the pieces`
  return `${step.sessions} sessions: added p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, ${came}: ${verdict}`
}

function outcome(steps: readonly Step[], refusals: readonly string[], cluster: LoadCluster): Outcome {
  const sorted = steps.toSorted((a, b) => a.sessions - b.sessions)
  const best = sorted.filter(isWell).at(-1)
  const largest = best ? `${best.sessions}` : 'None of the numbers that were tried of'
  return {
    summary: `${largest} llm sessions, each streaming ${PIECES_PER_SECOND} tokens/s, with an added p99 of at most ${AIM_MS} ms per flush; ${nodesOf(cluster)}.`,
    versions: cluster.stores.versions,
    tables: [latencyTable(sorted), costTable(sorted)],
    notes: [
      'Added: from when the first piece of a flush left the model until the client had it, less the time for which the worker held that piece back to send it with more, which it says in the chunk. Shown: the same with that time. The lateness of a timer, of the store and of the client’s own loop all count as added.',
      `Every piece carries the time at which it was written. Pieces: those that came, of the ${PIECES_PER_SECOND} a second and session that are written; the aim holds only where all come. CPU in percent of one core.`,
      ...busy(best),
      ...refusals,
    ],
    figures: { largest: best?.sessions ?? 0, steps: sorted },
    faults: steps.flatMap(({ sessions, report }) => report.faults.map((fault) => `${sessions} sessions: ${fault}`)),
  }
}

function latencyTable(steps: readonly Step[]): Table {
  const ms = (...values: readonly number[]): string => values.map((value) => `${value.toFixed(1)}`).join(' · ')
  return {
    head: ['sessions', 'added p50 · p99 · max ms', 'shown p50 · p99 ms', 'pieces', 'flushes/s', 'gathered for'],
    rows: steps.map((step) => [
      `${step.sessions}`,
      ms(step.report.added.p50, step.report.added.p99, step.report.added.max),
      ms(step.report.whole.p50, step.report.whole.p99),
      `${(delivered(step) * PERCENT).toFixed(1)} %`,
      Math.round(step.report.flushes / step.report.seconds).toLocaleString('en-US'),
      `${step.intervalMs} ms`,
    ]),
  }
}

const PARTS = ['redis', 'postgres', 'worker', 'edge', 'coordinator', 'model', 'clients'] as const

function costTable(steps: readonly Step[]): Table {
  return {
    head: ['sessions', ...PARTS.map((part) => `CPU ${part}`), 'RSS worker', 'RSS edge', 'RSS redis'],
    rows: steps.map(({ sessions, cpuPercent, residentMb }) => [
      `${sessions}`,
      ...PARTS.map((part) => `${cpuPercent[part] ?? 0} %`),
      ...(['worker', 'edge', 'redis'] as const).map((part) => `${residentMb[part] ?? 0} MB`),
    ]),
  }
}

/** Says when the model or the clients, and not the service, may have been what was slow. */
function busy(best: Step | undefined): string[] {
  const outside = (['model', 'clients'] as const).map((part) => [part, best?.cpuPercent[part] ?? 0] as const)
  const own = outside.map(([part, percent]) => `${part} ${percent} %`).join(', ')
  const isBusy = outside.some(([, percent]) => percent > BUSY_PERCENT)
  return best === undefined
    ? []
    : [`What is not the service, at the largest number: ${own}${isBusy ? '; it may be what is measured' : ''}.`]
}
