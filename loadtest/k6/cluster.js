/**
 * What every script here shares: the cluster under load, the question whether it is ready, and one line a second for
 * whoever draws the run.
 */
import exec from 'k6/execution'
import { WebSocket } from 'k6/websockets'

/** Made by whoever starts k6: `{"urls": ["ws://…"], "tokens": ["…"]}`, one token for each principal. */
const cluster = JSON.parse(open(__ENV.CLUSTER_FILE))

/** A first session needs a connection, a row in the database, a worker and the way back. */
const READY_MS = 10000
/** Of an answer that is shown to people. */
const SHOWN_CHARS = 300
const SECOND_MS = 1000
/** Stands before each line for the plots. */
const SECOND_MARK = '@second '

/** Sockets take the addresses and the tokens in turn. */
export function openSocket(place) {
  const { urls, tokens } = cluster
  const headers = { Authorization: `Bearer ${tokens[place % tokens.length]}` }
  return new WebSocket(urls[place % urls.length], null, { headers })
}

export const spawnMessage = (type, task) =>
  JSON.stringify({
    type: 'spawn_session',
    requestId: 'spawn',
    payload: { orchestratorId: 'load', sessionType: type, task },
  })

/**
 * For `setup`: one session through every address before any load. Load on a cluster that is not ready would measure
 * nothing; k6 then ends with code 108 and says why.
 */
export async function checkReady() {
  for (let place = 0; place < cluster.urls.length; place++) {
    const reason = await firstAnswer(place)
    if (reason !== undefined) exec.test.abort(`the cluster is not ready: ${cluster.urls[place]} ${reason}`)
  }
}

/** Undefined when a session did its first task. */
function firstAnswer(place) {
  return new Promise((resolve) => {
    const socket = openSocket(place)
    const timer = setTimeout(() => end(`gave no answer within ${READY_MS} ms`), READY_MS)
    const end = (reason) => {
      clearTimeout(timer)
      socket.onclose = () => {}
      socket.onerror = () => {}
      if (socket.readyState <= 1) socket.close()
      resolve(reason)
    }
    socket.onopen = () => socket.send(spawnMessage('echo', 'hello'))
    socket.onerror = (error) => end(`takes no connection: ${error.error}`)
    socket.onclose = () => end('closed the connection')
    socket.onmessage = ({ data }) => {
      if (data.startsWith('task_completed', 9)) end(undefined)
      else if (data.startsWith('error', 9) || data.startsWith('task_failed', 9)) end(data.substring(0, SHOWN_CHARS))
    }
  })
}

/** Says every second what was counted in it; whoever started k6 adds up what its virtual users say. */
export class Seconds {
  constructor() {
    this.startedAt = Date.now()
    this.counts = {}
    this.latencies = []
    this.timer = setInterval(() => this.tell(), SECOND_MS)
  }

  count(name, by = 1) {
    this.counts[name] = (this.counts[name] || 0) + by
  }

  latency(ms) {
    this.latencies.push(ms)
  }

  tell() {
    const sorted = this.latencies.sort((a, b) => a - b)
    const at = (share) => sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)]
    const second = Math.round((Date.now() - this.startedAt) / SECOND_MS)
    console.log(SECOND_MARK + JSON.stringify({ second, ...this.counts, p50: at(0.5), p99: at(0.99) }))
    this.counts = {}
    this.latencies = []
  }

  stop() {
    clearInterval(this.timer)
    this.tell()
  }
}

/** For `handleSummary`: the counts and the latency where SUMMARY_FILE says, else on the screen. */
export function summaryOf({ metrics }, counters, trendName) {
  const summary = {}
  for (const [name, metric] of Object.entries(counters)) summary[name] = metrics[metric]?.values.count ?? 0
  const trend = metrics[trendName]?.values ?? {}
  const { med = 0, max = 0, count = 0 } = trend
  summary.latency = { p50: med, p99: trend['p(99)'] ?? 0, max, samples: count }
  const text = `${JSON.stringify(summary, null, 2)}\n`
  return __ENV.SUMMARY_FILE ? { [__ENV.SUMMARY_FILE]: text } : { stdout: text }
}

/** Each virtual user runs once; of what must not happen there must be none at all. */
export function optionsOf({ users, maxSeconds, thresholds, zero }) {
  return {
    scenarios: {
      load: {
        executor: 'per-vu-iterations',
        vus: users,
        iterations: 1,
        maxDuration: `${maxSeconds}s`,
        gracefulStop: '5s',
      },
    },
    thresholds: { ...thresholds, ...Object.fromEntries(zero.map((name) => [name, ['count==0']])) },
    setupTimeout: `${(cluster.urls.length * READY_MS) / SECOND_MS + 5}s`,
    // Every tag is paid for with every message.
    systemTags: [],
    summaryTrendStats: ['med', 'p(99)', 'max', 'count'],
  }
}
