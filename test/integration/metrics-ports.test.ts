/**
 * Where operators ask: every role has its pages, equal ports are one port, and none when they are switched off.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { connect } from '../../src/client/client.js'
import { loadConfig } from '../../src/config/load.js'
import { Daemon } from '../../src/daemon.js'
import { signToken } from '../../src/edge/token.js'
import type { DaemonStatus } from '../../src/protocol/replies.js'
import { silentLog } from '../../src/telemetry/log.js'
import { createServerDatabase } from '../support/databases.js'
import { freePort } from '../support/free-port.js'

const SECRET = 'a-secret-of-at-least-thirty-two-characters'
const PATIENCE = { timeout: 15_000, interval: 50 }

const folder = mkdtempSync(join(tmpdir(), 'metrics-ports-'))
let database: Awaited<ReturnType<typeof createServerDatabase>>
beforeAll(async () => {
  database = await createServerDatabase()
})
afterAll(async () => {
  await database.remove()
  rmSync(folder, { recursive: true, force: true })
})

async function startDaemon(env: Readonly<Record<string, string>>): Promise<Daemon> {
  const all = { DAEMON_PORT: '0', METRICS_PORT: '0', SHARD_COUNT: '4', DATABASE_URL: database.url, ...env }
  const config = loadConfig({ flags: {}, env: { ...all, WORKSPACE_ROOT: join(folder, 'workspaces') }, cwd: folder })
  const daemon = new Daemon({ config, log: silentLog, onDead: () => undefined })
  await daemon.start()
  onTestFinished(() => daemon.stop())
  return daemon
}

const get = (port: number | undefined, path: string, init?: RequestInit) =>
  fetch(`http://127.0.0.1:${port}${path}`, init)

/** What a client with a token hears; a daemon without a secret asks for none. */
async function statusOf(daemon: Daemon | undefined): Promise<DaemonStatus> {
  const rules = { issuer: 'wundr-orchestrator', audience: 'wundr-daemon', lifetimeMs: 60_000 }
  const holder = { tenant: 't', subject: 's', role: 'user', scopes: undefined } as const
  const { token } = await signToken(holder, new TextEncoder().encode(SECRET), rules)
  const client = await connect({ url: `ws://127.0.0.1:${daemon?.port}`, token })
  onTestFinished(() => client.close())
  return await client.status()
}

/** Status and names of the fields of a JSON page. */
async function shapeOf(port: number | undefined, path: string) {
  const response = await get(port, path)
  return [response.status, Object.keys((await response.json()) as object)]
}

describe('one process', () => {
  test('serves the pages of operators on the port of clients when both are the same', async () => {
    const port = String(await freePort())
    const daemon = await startDaemon({ DAEMON_PORT: port, METRICS_PORT: port })

    expect(daemon.metricsPort).toBe(daemon.port)
    expect(await shapeOf(daemon.port, '/ready')).toEqual([200, ['ready', 'timestamp', 'message']])
    expect(await shapeOf(daemon.port, '/live')).toEqual([200, ['alive', 'timestamp']])
    expect(await shapeOf(daemon.port, '/health')).toEqual([200, ['status', 'timestamp']])
    expect(await (await get(daemon.port, '/metrics')).text()).toContain('wundr_ws_connections_active 0')
    expect((await get(daemon.port, '/live', { method: 'POST' })).status).toBe(405)
    expect((await get(daemon.port, '/loglevel')).status).toBe(404)
    const head = await get(daemon.port, '/live', { method: 'HEAD' })
    expect([head.status, await head.text()]).toEqual([200, ''])
  })

  test('has no pages for operators when they are switched off', async () => {
    const port = String(await freePort())
    const daemon = await startDaemon({ DAEMON_PORT: port, METRICS_PORT: port, METRICS_ENABLED: 'false' })

    expect(daemon.metricsPort).toBeUndefined()
    expect((await get(daemon.port, '/metrics')).status).toBe(404)
    expect((await get(daemon.port, '/ready')).status).toBe(404)
  })
})

describe('daemon_status', () => {
  test('says that no model can be called without a key, and what to set', async () => {
    const daemon = await startDaemon({})

    const status = await statusOf(daemon)

    expect(status.status).toBe('degraded')
    expect(status.subsystems.model).toMatchObject({
      status: 'degraded',
      errors: ['no model can be called: set OPENAI_API_KEY or ANTHROPIC_API_KEY'],
    })
    expect(status.subsystems.coordinator).toBeUndefined()
  })
})

describe('a cluster', () => {
  test('H-08: shows health, readiness, life and metrics of every role', async () => {
    const cluster = { REDIS_URL: process.env.TEST_REDIS_URL ?? '' }
    const name = `t${randomBytes(4).toString('hex')}`
    const daemons: Daemon[] = []
    for (const role of ['coordinator', 'worker', 'edge'] as const) {
      const env = { ...cluster, CLUSTER_NAME: name, DAEMON_ROLE: role, DAEMON_NAME: role, DAEMON_JWT_SECRET: SECRET }
      const daemon = await startDaemon(env)
      const { metricsPort } = daemon

      const fields = ['status', 'version', 'uptime', 'checks', 'timestamp']
      expect(await shapeOf(metricsPort, '/health'), role).toEqual([200, fields])
      await vi.waitFor(async () => expect((await get(metricsPort, '/ready')).status, role).toBe(200), PATIENCE)
      expect((await get(metricsPort, '/live')).status, role).toBe(200)
      const page = await (await get(metricsPort, '/metrics')).text()
      expect(page, role).toContain('wundr_process_uptime_seconds')
      // A page tells of what its process does, and of nothing else.
      expect(page.includes('wundr_ws_connections_active'), role).toBe(role === 'edge')
      expect(page.includes('orchestrator_sessions_active'), role).toBe(role === 'worker')
      daemons.push(daemon)
    }

    const [coordinator, , edge] = daemons
    const partsOf = async () => (await statusOf(edge)).subsystems
    await vi.waitFor(async () => {
      expect(await partsOf()).toMatchObject({ workers: { status: 'running' }, coordinator: { status: 'running' } })
    }, PATIENCE)
    await coordinator?.stop()
    await vi.waitFor(async () => {
      expect((await partsOf()).coordinator).toMatchObject({ status: 'unreachable' })
    }, PATIENCE)
  })
})
