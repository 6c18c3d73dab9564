/**
 * Commands over WebSocket at a fixed rate, with exact books: every command is answered once and in order.
 *
 * k6 is heavy, so each virtual user carries many sessions over few sockets, looks at answers without parsing them, and
 * counts in plain variables that become metrics once, at the end. Latency is sampled; the lean generator judges it.
 */
import exec from 'k6/execution'
import { Counter, Trend } from 'k6/metrics'
import { checkReady, openSocket, optionsOf, Seconds, spawnMessage, summaryOf } from './cluster.js'

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

const COUNTERS = {
  sent: 'commands_sent',
  answered: 'commands_answered',
  unanswered: 'commands_unanswered',
  notSent: 'commands_not_sent',
  doubled: 'answers_doubled',
  disordered: 'answers_out_of_order',
  errors: 'errors',
}
const MUST_BE_ZERO = ['unanswered', 'notSent', 'doubled', 'disordered', 'errors'].map((name) => COUNTERS[name])
const counters = Object.fromEntries(Object.entries(COUNTERS).map(([name, metric]) => [name, new Counter(metric)]))
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

export const setup = checkReady
export const summarize = (data) => summaryOf(data, COUNTERS, 'round_trip_sampled')

function optionsFor({ rate, seconds, users }) {
  const least = Math.floor(rate * seconds * LEAST_SENT)
  return optionsOf({
    users,
    maxSeconds: seconds + (READY_MS + DRAIN_MS) / 1000,
    thresholds: { [COUNTERS.sent]: [`count>=${least}`] },
    zero: MUST_BE_ZERO,
  })
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
    const socket = openSocket(this.index * this.load.sockets + number)
    socket.onopen = () => {
      for (let each = 0; each < this.load.sessions; each++) socket.send(spawnMessage('echo', 'hello'))
    }
    socket.onmessage = (message) => this.read(socket, message.data)
    socket.onerror = (error) => this.fail(error.error)
    socket.onclose = () => this.fail('a connection was closed')
    this.sockets.push(socket)
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
      if (command === session.sampled) this.sampled(Date.now() - session.sampledAt)
    }
  }

  sampled(ms) {
    latency.add(ms)
    this.seconds.latency(ms)
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
    this.seconds = new Seconds()
    this.told = 0
    this.startedAt = Date.now()
    this.ticker = setInterval(() => this.tick(), TICK_MS)
  }

  tick() {
    const { rate, seconds, users } = this.load
    const elapsedMs = Date.now() - this.startedAt
    const due = Math.floor((Math.min(elapsedMs, seconds * 1000) * rate) / users / 1000)
    for (; this.due < due; this.due++) this.send(this.due % this.sessions.length)
    this.tell()
    if (elapsedMs < seconds * 1000) return
    clearInterval(this.ticker)
    this.drain(Date.now() + DRAIN_MS)
  }

  tell() {
    this.seconds.count('answered', this.counts.answered - this.told)
    this.told = this.counts.answered
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
    if (this.seconds) {
      this.tell()
      this.seconds.stop()
    }
    for (const socket of this.sockets) socket.close()
    const unanswered = Math.max(0, this.counts.sent - this.counts.answered)
    for (const [name, count] of Object.entries({ ...this.counts, unanswered })) counters[name].add(count)
  }
}
