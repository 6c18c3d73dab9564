/**
 * The command line of `npm run load` and `npm run bench`.
 */
import { parseArgs } from 'node:util'

export const SCENARIOS = [
  'smoke',
  'peak',
  '10k',
  'stream',
  'storm',
  'soak',
  'idle',
  'sessions',
  'moves',
  'cancel',
  'rest',
  'cost',
  'agents',
  'streams',
  'recall',
  'table',
] as const
export type Scenario = (typeof SCENARIOS)[number]

const MAX_SECONDS = 3_600
/** Of one process: the sockets that it may open here. */
const MAX_CONNECTIONS = 15_000
const MAX_RATE = 1_000_000
const MAX_NODES = 16
const MAX_REPEAT = 9
const MAX_SEED = 1_000_000_000

export const USAGE = `npm run load -- <scenario> [options]     starts a cluster, puts load on it, and says what it did

  smoke      a few seconds of everything: is it right?
  peak       closed loop: every connection waits for its answer; how many round trips a second are there?
  10k        open loop: 10,000 commands a second for five minutes, or the highest rate that leaves the books exact
  stream     100 sessions that stream the text of a model: every piece in order, and what the service adds to its latency
  storm      1,000 clients lose their connections at once, with commands under way, and come back at once
  soak       500 commands a second for ten minutes: what grows?
  idle       memory of idle connections and of every role; time from start to ready
  sessions   memory of a worker with 1,000 echo sessions, and with 200 llm sessions that stream
  moves      200 planned moves of shards under load: for how long is each not read, and what do its clients see?
  cancel     100 streaming tasks cancelled under load: how long until each client hears of the end?
  rest       bytes of Redis and of a worker's heap for each of 1,000 sessions: at work, idle for a minute, and at rest
  recall     does memory find what was said in 500 conversations? by words, with vectors, and by age alone
  cost       CPU of all processes for one message, on clusters of 2, 4 and 8 workers that get the same load
  table      the published daemon's table of performance, measured
  agents     first text of sessions of Claude Code, new and warm; memory of a session of each type that streams
  streams    llm sessions that stream 20 tokens/s each: how many, until text comes more than 15 ms late?

smoke, 10k, stream, storm and soak are k6's where it can be had; else the same scripts run in Node.

npm run bench [-- options]               the same load on the bare parts, on this service, and on Socket.IO
npm run bench -- ping [options]          only ping, on this service and on the published daemon

  --seconds <n>       measured time of one run
  --connections <n>   each with a session of its own; streams: the number of sessions to begin with
  --rate <n>          10k, soak, bench, moves, cost: commands a second over all connections
  --edges <n>         default 1; smoke, 10k, stream, storm, soak: 2, behind a load balancer
  --workers <n>       default 1; smoke, 10k, stream, storm, soak: 2
  --seed <n>          recall: the first of three; by chance when left out
  --repeat <n>        runs; the medians are shown
  --json              print one JSON object at the end, and nothing else
  --no-results        leave loadtest/RESULTS.md alone
`

export interface LoadOptions {
  readonly seconds: number | undefined
  readonly connections: number | undefined
  readonly rate: number | undefined
  readonly edges: number | undefined
  readonly workers: number | undefined
  readonly repeat: number
  readonly seed: number | undefined
  readonly json: boolean
  /** Write what was measured into RESULTS.md. */
  readonly results: boolean
}

/** The words that are no options, and the options; or a sentence saying what cannot be understood. */
export function parseOptions(args: readonly string[]): { words: string[]; options: LoadOptions } | string {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        seconds: { type: 'string' },
        connections: { type: 'string' },
        rate: { type: 'string' },
        edges: { type: 'string' },
        workers: { type: 'string' },
        repeat: { type: 'string', default: '1' },
        seed: { type: 'string' },
        json: { type: 'boolean', default: false },
        'no-results': { type: 'boolean', default: false },
      },
    })
    const options = {
      seconds: optionalNumber('--seconds', values.seconds, MAX_SECONDS),
      connections: optionalNumber('--connections', values.connections, MAX_CONNECTIONS),
      rate: optionalNumber('--rate', values.rate, MAX_RATE),
      edges: optionalNumber('--edges', values.edges, MAX_NODES),
      workers: optionalNumber('--workers', values.workers, MAX_NODES),
      seed: optionalNumber('--seed', values.seed, MAX_SEED),
      repeat: wholeNumber('--repeat', values.repeat, MAX_REPEAT),
      ...{ json: values.json, results: !values['no-results'] },
    }
    return { words: positionals, options }
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

const optionalNumber = (name: string, text: string | undefined, max: number): number | undefined =>
  text === undefined ? undefined : wholeNumber(name, text, max)

function wholeNumber(name: string, text: string, max: number): number {
  const value = Number(text)
  if (Number.isInteger(value) && value >= 1 && value <= max) return value
  throw new RangeError(`${name} is a whole number from 1 to ${max}, not ${text}`)
}
