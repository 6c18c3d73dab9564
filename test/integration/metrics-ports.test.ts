/**
 * Where operators ask: every role has its pages, equal ports are one port, and none when they are switched off.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { loadConfig } from '../../src/config/load.js'
import { Daemon } from '../../src/daemon.js'
import { silentLog } from '../../src/telemetry/log.js'
import { createServerDatabase } from '../support/databases.js'

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

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

const get = (port: number | undefined, path: string, init?: RequestInit) =>
  fetch(`http://127.0.0.1:${port}${path}`, init)

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

describe('a cluster', () => {
  test('shows health, readiness, life and metrics of every role', async () => {
    const cluster = { REDIS_URL: process.env.TEST_REDIS_URL ?? '', DAEMON_JWT_SECRET: SECRET }
    const name = `t${randomBytes(4).toString('hex')}`
    for (const role of ['coordinator', 'worker', 'edge'] as const) {
      const env = { ...cluster, CLUSTER_NAME: name, DAEMON_ROLE: role, DAEMON_NAME: role }
      const { metricsPort } = await startDaemon(env)

      const fields = ['status', 'version', 'uptime', 'checks', 'timestamp']
      expect(await shapeOf(metricsPort, '/health'), role).toEqual([200, fields])
      await vi.waitFor(async () => expect((await get(metricsPort, '/ready')).status, role).toBe(200), PATIENCE)
      expect((await get(metricsPort, '/live')).status, role).toBe(200)
      const page = await (await get(metricsPort, '/metrics')).text()
      expect(page, role).toContain('wundr_process_uptime_seconds')
      // A page tells of what its process does, and of nothing else.
      expect(page.includes('wundr_ws_connections_active'), role).toBe(role === 'edge')
      expect(page.includes('orchestrator_sessions_active'), role).toBe(role === 'worker')
    }
  })
})
