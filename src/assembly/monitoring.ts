/**
 * How this process is looked at: its figures, its health, its alerts, the pages that show them, and the traces of its work.
 */
import { certificateOf, corsOriginsOf } from '../config/derived.js'
import type { Config } from '../config/load.js'
import { AdminServer } from '../telemetry/admin-server.js'
import { Alerts } from '../telemetry/alerts.js'
import { Health } from '../telemetry/health.js'
import type { LogLevelSwitch } from '../telemetry/log-level.js'
import { createMetrics, type Metrics } from '../telemetry/metrics.js'
import { openTracing } from '../telemetry/open-tracing.js'
import { Pages } from '../telemetry/pages.js'
import type { Tracing } from '../telemetry/tracing.js'
import { FigureLog } from './figure-log.js'
import { HealthWatch } from './health-watch.js'
import type { Foundation } from './planes.js'

export interface MonitoringOptions {
  /** Undefined where the level of the log is not for an operator to turn. */
  readonly logLevel: LogLevelSwitch | undefined
  readonly onLevelChanged: (level: string) => void
}

export class Monitoring {
  readonly metrics: Metrics
  readonly health: Health
  readonly pages: Pages
  readonly #foundation: Foundation
  readonly #alerts: Alerts
  #admin: AdminServer | undefined

  constructor(foundation: Foundation, { logLevel, onLevelChanged }: MonitoringOptions) {
    const { config, version, log } = foundation
    const { healthTimeoutMs, metricsPath } = config.monitoring
    this.#foundation = foundation
    this.health = new Health(healthTimeoutMs)
    this.metrics = createMetrics(config.server.name)
    const { metrics, health } = this
    const alerts = new Alerts({ samples: (family) => metrics.samples(family), log })
    this.#alerts = alerts
    this.pages = new Pages({ metrics, alerts, health, version, logLevel, metricsPath, onLevelChanged })
  }

  /** Port of the pages where they have one of their own, known after `start`. */
  get port(): number | undefined {
    return this.#admin?.port
  }

  /** One port for clients and operators, which the edge serves; a role without an edge has the port to itself. */
  get sharesPort(): boolean {
    const { server, monitoring } = this.#foundation.config
    const isEdge = server.role === 'edge' || server.role === 'all'
    return monitoring.metricsEnabled && isEdge && server.port !== 0 && server.port === monitoring.metricsPort
  }

  /** To be asked for first, so that it is stopped last: what others say at their end is sent too. */
  async openTracing(): Promise<Tracing | undefined> {
    const { config, node, version, log, lifecycle } = this.#foundation
    const tracing = await openTracing(config, { node, role: config.server.role, version }, log)
    if (tracing) lifecycle.started('tracing', () => tracing.stop())
    return tracing
  }

  /** Once there is something to be seen. */
  async start(): Promise<void> {
    const { metricsEnabled } = this.#foundation.config.monitoring
    if (metricsEnabled && !this.sharesPort) await this.#startAdmin()
    this.#watchHealth()
    if (metricsEnabled) this.#tellFigures()
  }

  async #startAdmin(): Promise<void> {
    const { config, log, lifecycle } = this.#foundation
    const { metricsHost: host, metricsPort: port, metricsTls } = config.monitoring
    const certificate = metricsTls ? certificateOf(config) : undefined
    const corsOrigins = corsOriginsOf(config)
    const admin = new AdminServer({ host, port, pages: this.pages, log, certificate, corsOrigins })
    await admin.start()
    this.#admin = admin
    if (metricsTls) {
      const { followMetricsCertificate } = await import('./credentials.js')
      followMetricsCertificate(this.#foundation, admin)
    }
    lifecycle.started('admin server', () => admin.stop())
  }

  #watchHealth(): void {
    const { config, log, lifecycle } = this.#foundation
    const intervalMs = config.monitoring.healthCheckIntervalMs
    const watch = new HealthWatch({ health: this.health, intervalMs, log })
    this.metrics.watchParts(() => this.health.check())
    this.metrics.watchFolders(foldersOf(config))
    watch.start()
    lifecycle.started('health watch', async () => watch.stop())
  }

  #tellFigures(): void {
    const { config, log, lifecycle } = this.#foundation
    const figures = new FigureLog({ metrics: this.metrics, intervalMs: config.monitoring.metricsIntervalMs, log })
    figures.start()
    lifecycle.started('figures in the log', async () => figures.stop())
    this.#alerts.start()
    lifecycle.started('alerts', async () => this.#alerts.stop())
  }
}

/** Where this process writes files, by what they hold. */
function foldersOf({ server, database, worker }: Config): Record<string, string> {
  const runsSessions = server.role === 'worker' || server.role === 'all'
  return {
    ...(runsSessions && { workspaces: worker.workspaceRoot }),
    ...(database.url === undefined && { database: database.directory }),
  }
}
