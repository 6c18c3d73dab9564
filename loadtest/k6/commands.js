/**
 * Commands over WebSocket at a fixed rate, with exact books: every command is answered once and in order.
 *
 * k6 is heavy, so each virtual user carries many sessions over few sockets, looks at answers without parsing them, and
 * counts in plain variables that become metrics once, at the end. Latency is sampled; the lean generator judges it.
 */
import exec from 'k6/execution'
import { Counter, Trend } from 'k6/metrics'
import { WebSocket } from 'k6/websockets'

/** Made by whoever starts k6: `{"urls": ["ws://…"], "tokens": ["…"]}`, one token for each principal. */
const cluster = JSON.parse(open(__ENV.CLUSTER_FILE))

/** Commands leave in small bursts: timers of k6 are not finer, and each costs. */
const TICK_MS = 5
/** Of one session. What is due beyond that is never sent, and counts as such. */
const MAX_IN_FLIGHT = 64
/** What has no answer by then has none. */
const DRAIN_MS = 15000
const READY_MS = 30000
/** One latency in so many is recorded. */
const SAMPLE = 50
/** Request ids are `session × SPAN + command`. */
const SPAN = 10000000
/** The share of the rate below which k6 itself was too slow for the test to say anything. */
const LEAST_SENT = 0.99

const sent = new Counter('commands_sent')
const answered = new Counter('commands_answered')
const unanswered = new Counter('commands_unanswered')
const notSent = new Counter('commands_not_sent')
const doubled = new Counter('answers_doubled')
const disordered = new Counter('answers_out_of_order')
const errors = new Counter('errors')
const latency = new Trend('round_trip_sampled', true)

/**
 * A test that sends `rate` commands a second for `seconds`, from `users` virtual users with `sockets` sockets each and
 * `sessions` sessions on each socket. RATE and SECONDS in the environment go before the given values.
 */
export function commandLoad(defaults) {
  const load = {
    ...defaults,
    rate: Number(__ENV.RATE || defaults.rate),
    seconds: Number(__ENV.SECONDS || defaults.seconds),
  }
  return { options: optionsFor(load), run: () => new User(load, exec.vu.idInTest - 1).start() }
}

function optionsFor({ rate, seconds, users }) {
  return {
    scenarios: {
      commands: {
        executor: 'per-vu-iterations',
        vus: users,
        iterations: 1,
        maxDuration: `${seconds + (READY_MS + DRAIN_MS) / 1000}s`,
        gracefulStop: '5s',
      },
    },
    thresholds: {
      commands_sent: [`count>=${Math.floor(rate * seconds * LEAST_SENT)}`],
      commands_unanswered: ['count==0'],
      commands_not_sent: ['count==0'],
      answers_doubled: ['count==0'],
      answers_out_of_order: ['count==0'],
      errors: ['count==0'],
    },
    // Every tag is paid for with every message.
    systemTags: [],
    summaryTrendStats: ['med', 'p(99)', 'max', 'count'],
  }
}

/** For `handleSummary`: counts and sampled latency where `SUMMARY_FILE` says, and a few lines for people. */
export function summarize({ metrics }) {
  const count = (name) => metrics[name]?.values.count ?? 0
  const trend = metrics.round_trip_sampled?.values ?? {}
  const summary = {
    sent: count('commands_sent'),
    answered: count('commands_answered'),
    unanswered: count('commands_unanswered'),
    notSent: count('commands_not_sent'),
    doubled: count('answers_doubled'),
    disordered: count('answers_out_of_order'),
    errors: count('errors'),
    latency: { p50: trend.med ?? 0, p99: trend['p(99)'] ?? 0, max: trend.max ?? 0, samples: trend.count ?? 0 },
  }
  const text = `${JSON.stringify(summary, null, 2)}\n`
  return __ENV.SUMMARY_FILE ? { [__ENV.SUMMARY_FILE]: text } : { stdout: text }
}

class User {
  constructor(load, index) {
    this.load = load
    this.index = index
    this.sessions = []
    this.sockets = []
    this.ready = 0
    this.due = 0
    this.counts = { sent: 0, answered: 0, notSent: 0, doubled: 0, disordered: 0, errors: 0 }
  }

  start() {
    for (let socket = 0; socket < this.load.sockets; socket++) this.openSocket(socket)
    this.giveUp = setTimeout(() => this.fail(`only ${this.ready} sessions after ${READY_MS} ms`), READY_MS)
  }

  openSocket(number) {
    const { urls, tokens } = cluster
    const place = this.index * this.load.sockets + number
    const headers = { Authorization: `Bearer ${tokens[place % tokens.length]}` }
    const socket = new WebSocket(urls[place % urls.length], null, { headers })
    socket.onopen = () => this.spawn(socket)
    socket.onmessage = (message) => this.read(socket, message.data)
    socket.onerror = (error) => this.fail(error.error)
    socket.onclose = () => this.fail('a connection was closed')
    this.sockets.push(socket)
  }

  spawn(socket) {
    for (let each = 0; each < this.load.sessions; each++) {
      const payload = { orchestratorId: 'load', sessionType: 'echo', task: 'hello' }
      socket.send(JSON.stringify({ type: 'spawn_session', requestId: 'spawn', payload }))
    }
  }

  read(socket, text) {
    if (text.startsWith('task_completed', 9)) this.completed(socket, text)
    else if (text.startsWith('error', 9) || text.startsWith('task_failed', 9)) this.failed(text)
  }

  completed(socket, text) {
    const at = text.indexOf('"requestId":"') + 13
    if (text.startsWith('spawn"', at)) {
      this.opened(socket, text)
      return
    }
    const request = Number.parseInt(text.substring(at, at + 16), 10)
    const session = this.sessions[Math.floor(request / SPAN)]
    const command = request % SPAN
    if (command < session.next) this.counts.doubled++
    else {
      if (command > session.next) this.counts.disordered++
      session.next = command + 1
      this.counts.answered++
      if (command === session.sampled) latency.add(Date.now() - session.sampledAt)
    }
  }

  opened(socket, text) {
    const from = text.indexOf('"sessionId":"') + 13
    const id = text.substring(from, text.indexOf('"', from))
    this.sessions.push({ socket, id, issued: 0, next: 0, sampled: -1, sampledAt: 0 })
    this.ready++
    if (this.ready === this.load.sockets * this.load.sessions) this.begin()
  }

  failed(text) {
    this.counts.errors++
    if (this.counts.errors === 1) console.error(text.substring(0, 300))
  }

  begin() {
    clearTimeout(this.giveUp)
    this.startedAt = Date.now()
    this.ticker = setInterval(() => this.tick(), TICK_MS)
  }

  tick() {
    const { rate, seconds, users } = this.load
    const elapsedMs = Date.now() - this.startedAt
    const due = Math.floor((Math.min(elapsedMs, seconds * 1000) * rate) / users / 1000)
    for (; this.due < due; this.due++) this.send(this.due % this.sessions.length)
    if (elapsedMs < seconds * 1000) return
    clearInterval(this.ticker)
    this.drain(Date.now() + DRAIN_MS)
  }

  send(index) {
    const session = this.sessions[index]
    if (session.issued - session.next >= MAX_IN_FLIGHT) {
      this.counts.notSent++
      return
    }
    const command = session.issued++
    if (command % SAMPLE === 0) {
      session.sampled = command
      session.sampledAt = Date.now()
    }
    const requestId = index * SPAN + command
    session.socket.send(
      `{"type":"execute_task","requestId":"${requestId}","payload":{"sessionId":"${session.id}","task":"x"}}`,
    )
    this.counts.sent++
  }

  drain(deadline) {
    if (this.counts.answered + this.counts.errors >= this.counts.sent || Date.now() > deadline) this.finish()
    else setTimeout(() => this.drain(deadline), TICK_MS)
  }

  fail(reason) {
    if (this.finished) return
    this.counts.errors++
    console.error(`virtual user ${this.index + 1}: ${reason}`)
    clearInterval(this.ticker)
    this.finish()
  }

  /** All counts are added, zeros too: a threshold on a metric without a value would pass. */
  finish() {
    clearTimeout(this.giveUp)
    if (this.finished) return
    this.finished = true
    for (const socket of this.sockets) socket.close()
    sent.add(this.counts.sent)
    answered.add(this.counts.answered)
    unanswered.add(Math.max(0, this.counts.sent - this.counts.answered))
    notSent.add(this.counts.notSent)
    doubled.add(this.counts.doubled)
    disordered.add(this.counts.disordered)
    errors.add(this.counts.errors)
  }
}
