/**
 * Pages for operators and machines: a start page, /alerts, metrics, /health, /ready, /accepting, /live, /loglevel. Served on a
 * port of their own, or some of them by the edge where both ports are one.
 */
import { LOG_LEVELS, type LogLevel } from '../config/schema.js'
import type { Alerts } from './alerts.js'
import type { Health, Readiness } from './health.js'
import { isLogLevel, type LogLevelSwitch } from './log-level.js'
import type { Metrics } from './metrics.js'
import { redactText } from './redact.js'
import { startPage } from './start-page.js'

export interface Page {
  readonly status: number
  readonly type: string
  readonly body: string
}

export interface PageRequest {
  readonly method: string
  /** Without the query. */
  readonly path: string
  readonly body: string
  /** Somebody at this machine asks, and nobody through them. */
  readonly isLocal: boolean
}

export interface PageSources {
  readonly metrics: Pick<Metrics, 'page' | 'pageServed'>
  readonly health: Health
  readonly metricsPath: string
  readonly alerts: Pick<Alerts, 'active'>
  readonly version: string
  /** Undefined where the level of the log is not ours to change: there is no page then. */
  readonly logLevel?: LogLevelSwitch | undefined
  /** Somebody has changed how much is logged. */
  readonly onLevelChanged?: (level: LogLevel) => void
}

interface Entry {
  readonly methods: readonly string[]
  readonly answer: (request: PageRequest) => Page | Promise<Page>
}

const JSON_TYPE = 'application/json'
const HTML_TYPE = 'text/html; charset=utf-8'
const READING = ['GET', 'HEAD']
const MS_PER_SECOND = 1_000
/** Below the patience of load balancers, which take silence for death: 2 s in deploy/haproxy.cfg. */
const ACCEPTING_TIMEOUT_MS = 1_000

/** What the start page names beside the metrics. */
const SHOWN = [
  ['/alerts', 'what somebody should know of, as JSON'],
  ['/health', 'each part, with why it does not work'],
  ['/ready', 'whether new work may come'],
  ['/accepting', 'the same for load balancers that tell full from gone'],
  ['/live', 'whether the process answers at all'],
  ['/loglevel', 'how much is logged; from this machine only'],
] as const

export class Pages {
  readonly #entries: ReadonlyMap<string, Entry>
  readonly #sources: PageSources

  constructor(sources: PageSources) {
    const { metrics, health, alerts, metricsPath, version } = sources
    this.#sources = sources
    this.#entries = new Map<string, Entry>([
      ['/', { methods: READING, answer: () => this.#start() }],
      ['/alerts', { methods: READING, answer: () => alertsPage(alerts) }],
      ['/health', { methods: READING, answer: () => healthPage(health, version) }],
      ['/ready', { methods: READING, answer: () => readyPage(health) }],
      ['/accepting', { methods: READING, answer: () => acceptingPage(health) }],
      ['/live', { methods: READING, answer: () => jsonPage(200, { alive: true, timestamp: now() }) }],
      [metricsPath, { methods: READING, answer: async () => ({ status: 200, ...(await metrics.page()) }) }],
      ...levelEntry(sources),
    ])
  }

  /** What the client port shows too where it is the only one; its /health is another, and the log is nobody's there. */
  get openPaths(): readonly string[] {
    return ['/ready', '/accepting', '/live', this.#sources.metricsPath]
  }

  /** Answers in JSON what is not there or not allowed; rejects only for a bug of ours. */
  async answer(request: PageRequest): Promise<Page> {
    const entry = this.#entries.get(request.path)
    if (!entry) return jsonPage(404, { error: 'Not found' })
    if (!entry.methods.includes(request.method)) return jsonPage(405, { error: 'Method not allowed' })
    const startedAt = performance.now()
    const page = await entry.answer(request)
    const seconds = (performance.now() - startedAt) / MS_PER_SECOND
    this.#sources.metrics.pageServed(request.method, request.path, seconds)
    return page
  }

  async #start(): Promise<Page> {
    const { health, alerts, version, metricsPath } = this.#sources
    const [report, readiness, active] = await Promise.all([health.check(), health.readiness(), alerts.active()])
    const pages = [[metricsPath, 'metrics, for Prometheus'], ...SHOWN] as const
    return { status: 200, type: HTML_TYPE, body: startPage({ version, report, readiness, alerts: active, pages }) }
  }
}

/** Those that somebody should know of; an empty list where there are none. */
async function alertsPage(alerts: Pick<Alerts, 'active'>): Promise<Page> {
  return jsonPage(200, { alerts: await alerts.active(), timestamp: now() })
}

async function healthPage(health: Health, version: string): Promise<Page> {
  const { status, checks } = await health.check()
  const uptime = Math.floor(process.uptime())
  // Messages of drivers may name the address that they failed to reach, with its password.
  const body = redactText(JSON.stringify({ status, version, uptime, checks, timestamp: now() }))
  return { status: status === 'unhealthy' ? 503 : 200, type: JSON_TYPE, body }
}

async function readyPage(health: Health): Promise<Page> {
  const { ready, message } = await health.readiness()
  return jsonPage(ready ? 200 : 503, { ready, timestamp: now(), message })
}

/**
 * For load balancers that tell a server which takes no new clients (404) from one that is gone (no answer): the clients of
 * the first stay where they are. It answers soon, also while a store keeps its probe waiting.
 */
async function acceptingPage(health: Health): Promise<Page> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<Readiness>((resolve) => {
    const message = `no answer of a store within ${ACCEPTING_TIMEOUT_MS} ms`
    timer = setTimeout(() => resolve({ ready: false, message }), ACCEPTING_TIMEOUT_MS)
  })
  const { ready, message } = await Promise.race([health.readiness(), late]).finally(() => clearTimeout(timer))
  return jsonPage(ready ? 200 : 404, { ready, timestamp: now(), message })
}

function levelEntry({ logLevel, onLevelChanged }: PageSources): [string, Entry][] {
  if (!logLevel) return []
  const answer = (request: PageRequest): Page => {
    const before = logLevel.current
    const page = levelPage(logLevel, request)
    if (logLevel.current !== before) onLevelChanged?.(logLevel.current)
    return page
  }
  return [['/loglevel', { methods: ['GET', 'POST'], answer }]]
}

/** Reads or changes how much is logged. Only from this machine: debug lines cost time, and nobody else's business. */
function levelPage(logLevel: LogLevelSwitch, { method, body, isLocal }: PageRequest): Page {
  if (!isLocal) return jsonPage(403, { error: 'The log level is read and changed from this machine only' })
  if (method === 'POST') {
    const change = changeIn(body)
    if (!change) {
      const expected = `{"level": "${LOG_LEVELS.join('" | "')}"} or {"reset": true}`
      return jsonPage(400, { error: `Expected ${expected}` })
    }
    if (change === 'reset') logLevel.reset()
    else logLevel.set(change)
  }
  return jsonPage(200, { level: logLevel.current })
}

function changeIn(body: string) {
  const asked = parsed(body)
  if (typeof asked !== 'object' || asked === null) return undefined
  if ('reset' in asked && asked.reset === true) return 'reset'
  return 'level' in asked && isLogLevel(asked.level) ? asked.level : undefined
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Not JSON is one more thing that is not as expected.
    return undefined
  }
}

export const jsonPage = (status: number, body: object): Page => ({
  status,
  type: JSON_TYPE,
  body: JSON.stringify(body),
})
const now = (): string => new Date().toISOString()
