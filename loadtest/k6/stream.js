/**
 * Sessions that stream the text of a model: every piece arrives once and in order, and how long it took from the model to
 * the client is read from the piece itself, which the model has stamped with the time.
 *
 * CLUSTER_FILE, SUMMARY_FILE, RATE (sessions that stream at the same time) and SECONDS in the environment.
 */
import exec from 'k6/execution'
import { Counter, Trend } from 'k6/metrics'
import { checkReady, openSocket, optionsOf, Seconds, spawnMessage, summaryOf } from './cluster.js'

/** As the model makes them (`loadtest/cluster/stamping-model.ts`): µs since 1970 in base 36, and a space. */
const PIECE_CHARS = 11
const PIECES_PER_TASK = 100
/** A clock of whole milliseconds is half of one late on average. */
const HALF_MS = 0.5
const READY_MS = 60000
const DRAIN_MS = 30000
/** Ten of a page's sessions share a connection. */
const SESSIONS_PER_SOCKET = 10
const USERS = 2

const sessionsWanted = Number(__ENV.RATE || 100)
const seconds = Number(__ENV.SECONDS || 30)

const COUNTERS = {
  sent: 'tasks_sent',
  answered: 'tasks_completed',
  unanswered: 'tasks_not_completed',
  pieces: 'pieces',
  missing: 'pieces_missing',
  disordered: 'pieces_out_of_order',
  errors: 'errors',
}
const counters = Object.fromEntries(Object.entries(COUNTERS).map(([name, metric]) => [name, new Counter(metric)]))
const added = new Trend('added_latency', true)

export const options = optionsOf({
  users: USERS,
  maxSeconds: seconds + (READY_MS + DRAIN_MS) / 1000,
  thresholds: { [COUNTERS.sent]: [`count>=${sessionsWanted}`], added_latency: ['p(99)<1000'] },
  zero: ['unanswered', 'missing', 'disordered', 'errors'].map((name) => COUNTERS[name]),
})
export const setup = checkReady
export const handleSummary = (data) => summaryOf(data, COUNTERS, 'added_latency')

class User {
  constructor(index) {
    this.index = index
    this.counts = { sent: 0, answered: 0, pieces: 0, missing: 0, disordered: 0, errors: 0 }
    this.sessions = new Map()
    this.sockets = []
    this.running = 0
  }

  start() {
    this.seconds = new Seconds()
    this.endsAt = Date.now() + seconds * 1000
    const count = Math.ceil(sessionsWanted / USERS)
    for (let from = 0; from < count; from += SESSIONS_PER_SOCKET) {
      this.open(from / SESSIONS_PER_SOCKET, Math.min(SESSIONS_PER_SOCKET, count - from))
    }
    this.giveUp = setTimeout(() => this.finish(), seconds * 1000 + DRAIN_MS)
  }

  open(number, count) {
    const socket = openSocket(this.index + number * USERS)
    this.sockets.push(socket)
    socket.onopen = () => {
      for (let each = 0; each < count; each++)
        this.sent(() => socket.send(spawnMessage('llm', `Stream ${PIECES_PER_TASK}`)))
    }
    socket.onmessage = ({ data }) => this.read(socket, data)
    socket.onerror = (error) => this.fail(error.error)
    socket.onclose = () => this.fail('a connection was closed')
  }

  sent(send) {
    this.counts.sent++
    this.running++
    send()
  }

  read(socket, text) {
    if (text.startsWith('stream_chunk', 9)) this.chunk(JSON.parse(text).data)
    else if (text.startsWith('task_completed', 9)) this.completed(socket, text)
    else if (text.startsWith('error', 9) || text.startsWith('task_failed', 9)) this.fail(text.substring(0, 300))
  }

  chunk({ sessionId, chunk, messageId, offset }) {
    const now = Date.now() + HALF_MS
    const session = this.sessions.get(sessionId) || { messageId, bytes: 0 }
    this.sessions.set(sessionId, session)
    if (session.messageId !== messageId) {
      session.messageId = messageId
      session.bytes = 0
    }
    if (offset !== session.bytes) this.counts.disordered++
    session.bytes = offset + chunk.length
    for (let at = 0; at + PIECE_CHARS <= chunk.length; at += PIECE_CHARS) {
      const ms = now - Number.parseInt(chunk.substring(at, at + PIECE_CHARS - 1), 36) / 1000
      added.add(Math.max(0, ms))
      this.seconds.latency(ms)
    }
    const pieces = chunk.length / PIECE_CHARS
    this.counts.pieces += pieces
    this.seconds.count('pieces', pieces)
  }

  completed(socket, text) {
    const from = text.indexOf('"sessionId":"') + 13
    const id = text.substring(from, text.indexOf('"', from))
    this.counts.answered++
    this.running--
    const session = this.sessions.get(id) || { bytes: 0 }
    this.counts.missing += PIECES_PER_TASK - session.bytes / PIECE_CHARS
    session.bytes = 0
    const payload = { sessionId: id, task: `Stream ${PIECES_PER_TASK}` }
    if (Date.now() < this.endsAt) this.sent(() => socket.send(JSON.stringify({ type: 'execute_task', payload })))
    else if (this.running === 0) this.finish()
  }

  fail(reason) {
    if (this.finished) return
    this.counts.errors++
    console.error(`virtual user ${this.index + 1}: ${reason}`)
    this.finish()
  }

  finish() {
    if (this.finished) return
    this.finished = true
    clearTimeout(this.giveUp)
    this.seconds.stop()
    for (const socket of this.sockets) socket.close()
    const unanswered = this.counts.sent - this.counts.answered
    for (const [name, count] of Object.entries({ ...this.counts, unanswered })) counters[name].add(count)
  }
}

export default () => new User(exec.vu.idInTest - 1).start()
