/**
 * Reconnect storms: all clients lose their connections in the same instant, with commands under way, come back at once, and
 * go on where they were. Every command ends in exactly one event, and no session's events have a gap.
 *
 * CLUSTER_FILE, SUMMARY_FILE, RATE (clients, each with a session) and SECONDS in the environment.
 */
import exec from 'k6/execution'
import { Counter, Trend } from 'k6/metrics'
import { checkReady, openSocket, optionsOf, Seconds, spawnMessage, summaryOf } from './cluster.js'

const USERS = 2
/** Of each client: work goes on before, in and after each storm. */
const COMMAND_EVERY_MS = 2000
const TICK_MS = 5
const STORM_EVERY_MS = 10000
/** Clients that open at the same time before the first storm; in a storm all do. */
const OPENING_PER_TICK = 20
const OPENING_TICK_MS = 50
/** A client that is refused tries again soon: a storm knows no patience. */
const RETRY_MS = 250
const READY_MS = 60000
const DRAIN_MS = 30000
/** All clients must be back within this time. */
const BACK_MS = 10000

const clientsWanted = Number(__ENV.RATE || 1000)
const seconds = Number(__ENV.SECONDS || 40)

const COUNTERS = {
  sent: 'commands_sent',
  answered: 'commands_answered',
  unanswered: 'commands_unanswered',
  doubled: 'answers_doubled',
  gaps: 'event_gaps',
  resets: 'resets',
  lost: 'connections_lost_in_a_storm',
  resumed: 'sessions_resumed',
  refused: 'connections_refused',
  errors: 'errors',
}
const counters = Object.fromEntries(Object.entries(COUNTERS).map(([name, metric]) => [name, new Counter(metric)]))
const back = new Trend('back_after', true)

export const options = optionsOf({
  users: USERS,
  maxSeconds: seconds + (READY_MS + DRAIN_MS) / 1000,
  thresholds: { [COUNTERS.resumed]: ['count>0'], back_after: [`max<${BACK_MS}`] },
  zero: ['unanswered', 'doubled', 'gaps', 'resets', 'errors'].map((name) => COUNTERS[name]),
})
export const setup = checkReady
export const handleSummary = (data) => summaryOf(data, COUNTERS, 'back_after')

/** A client as it should be: remembers its place and its unanswered commands, and says both again after a loss. */
class Client {
  constructor(user, place) {
    this.user = user
    this.place = place
    this.pending = new Map()
    this.done = new Set()
    this.next = 0
  }

  open() {
    const socket = openSocket(this.place)
    this.socket = socket
    this.isOpen = false
    socket.onopen = () => {
      this.isOpen = true
      if (this.id === undefined) socket.send(spawnMessage('echo', 'hello'))
      else this.resume()
    }
    socket.onmessage = ({ data }) => {
      if (socket === this.socket) this.read(data)
    }
    socket.onerror = () => {}
    socket.onclose = () => {
      if (socket !== this.socket || this.user.finished) return
      this.user.counts.refused++
      setTimeout(() => this.open(), RETRY_MS)
    }
  }

  /** The cable is cut: what is on the way to this client is not read any more. */
  lose() {
    const socket = this.socket
    this.socket = undefined
    this.isOpen = false
    this.lostAt = Date.now()
    socket.close()
    this.open()
  }

  resume() {
    const from = { eventId: this.lastEvent }
    this.socket.send(JSON.stringify({ type: 'subscribe', requestId: 'back', payload: { sessionId: this.id, from } }))
    for (const message of this.pending.values()) this.socket.send(message)
  }

  command() {
    const number = String(this.next++)
    const payload = { sessionId: this.id, task: 'x' }
    const message = JSON.stringify({ type: 'execute_task', requestId: number, commandId: `c${number}`, payload })
    this.pending.set(number, message)
    this.user.counts.sent++
    if (this.isOpen) this.socket.send(message)
  }

  read(text) {
    if (text.startsWith('subscribed', 9)) this.subscribed(text)
    else if (text.startsWith('error', 9) || text.startsWith('task_failed', 9)) this.user.failed(text)
    else {
      const at = text.indexOf('"eventId":"')
      if (at > 0) this.event(text.substring(at + 11, text.indexOf('"', at + 11)))
      if (text.startsWith('task_completed', 9)) this.completed(text)
    }
  }

  subscribed(text) {
    if (text.indexOf('"reset":true') > 0) this.user.counts.resets++
    this.user.counts.resumed++
    this.user.back(Date.now() - this.lostAt)
  }

  event(eventId) {
    const number = Number(eventId.substring(eventId.indexOf('-') + 1))
    if (this.lastNumber !== undefined && number !== this.lastNumber + 1) this.user.counts.gaps++
    this.lastNumber = number
    this.lastEvent = eventId
  }

  completed(text) {
    const at = text.indexOf('"requestId":"') + 13
    const request = text.substring(at, text.indexOf('"', at))
    if (request === 'spawn') {
      const from = text.indexOf('"sessionId":"') + 13
      this.id = text.substring(from, text.indexOf('"', from))
      this.user.opened()
    } else if (this.pending.delete(request)) {
      this.done.add(request)
      this.user.counts.answered++
    } else if (this.done.has(request)) this.user.counts.doubled++
  }
}

class User {
  constructor(index) {
    this.index = index
    this.counts = { sent: 0, answered: 0, doubled: 0, gaps: 0, resets: 0, lost: 0, resumed: 0, refused: 0, errors: 0 }
    this.clients = Array.from(
      { length: Math.ceil(clientsWanted / USERS) },
      (_, n) => new Client(this, index + n * USERS),
    )
    this.ready = 0
    this.told = 0
  }

  start() {
    let next = 0
    const opening = setInterval(() => {
      for (let each = 0; each < OPENING_PER_TICK && next < this.clients.length; each++) this.clients[next++].open()
      if (next === this.clients.length) clearInterval(opening)
    }, OPENING_TICK_MS)
    this.giveUp = setTimeout(() => this.fail(`only ${this.ready} sessions after ${READY_MS} ms`), READY_MS)
  }

  opened() {
    this.ready++
    if (this.ready === this.clients.length) this.begin()
  }

  begin() {
    clearTimeout(this.giveUp)
    this.seconds = new Seconds()
    const tickMs = Math.max(1, COMMAND_EVERY_MS / this.clients.length)
    let due = 0
    const startedAt = Date.now()
    const commands = setInterval(() => {
      for (; due * tickMs <= Date.now() - startedAt; due++) this.clients[due % this.clients.length].command()
      this.tell()
    }, TICK_MS)
    const storms = setInterval(() => this.storm(), STORM_EVERY_MS)
    setTimeout(() => {
      clearInterval(commands)
      clearInterval(storms)
      this.drain(Date.now() + DRAIN_MS)
    }, seconds * 1000)
  }

  tell() {
    this.seconds.count('answered', this.counts.answered - this.told)
    this.told = this.counts.answered
  }

  storm() {
    this.counts.lost += this.clients.length
    for (const client of this.clients) client.lose()
  }

  back(ms) {
    back.add(ms)
    this.seconds.latency(ms)
    this.seconds.count('resumed')
  }

  failed(text) {
    this.counts.errors++
    if (this.counts.errors === 1) console.error(text.substring(0, 300))
  }

  drain(deadline) {
    const isDone = this.clients.every(({ pending }) => pending.size === 0)
    if (isDone || Date.now() > deadline) this.finish()
    else setTimeout(() => this.drain(deadline), RETRY_MS)
  }

  fail(reason) {
    this.counts.errors++
    console.error(`virtual user ${this.index + 1}: ${reason}`)
    this.finish()
  }

  finish() {
    if (this.finished) return
    this.finished = true
    if (this.seconds) {
      this.tell()
      this.seconds.stop()
    }
    for (const { socket } of this.clients) if (socket) socket.close()
    const unanswered = this.counts.sent - this.counts.answered
    for (const [name, count] of Object.entries({ ...this.counts, unanswered })) counters[name].add(count)
  }
}

export default () => new User(exec.vu.idInTest - 1).start()
