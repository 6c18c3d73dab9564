/**
 * The limits as a whole daemon applies them: read from the settings, counted in the cluster's Redis.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { expect, onTestFinished, test, vi } from 'vitest'
import WebSocket from 'ws'
import { OrchestratorDaemon, silentLog } from '../../src/index.js'
import { connectCommands, disconnect } from '../../src/redis/connect.js'
import { RawClient } from '../contract/wire/edge-fixture.js'

const KEY = 'a-key-of-at-least-thirty-two-characters'
const PATIENCE = { timeout: 10_000, interval: 20 } as const

const required = (name: string): string => {
  const value = process.env[name]
  if (!value) throw new Error(`${name} is missing: the global setup of the tests provides it`)
  return value
}

async function ownDatabase(): Promise<string> {
  const name = `t_${randomBytes(6).toString('hex')}`
  const url = new URL(required('TEST_DATABASE_URL'))
  const admin = async (statement: string): Promise<void> => {
    const client = new pg.Client({ connectionString: url.href })
    await client.connect()
    await client.query(statement).finally(() => client.end())
  }
  await admin(`create database ${name}`)
  onTestFinished(() => admin(`drop database ${name} with (force)`))
  const own = new URL(url)
  own.pathname = `/${name}`
  return own.href
}

async function startDaemon(cluster: string): Promise<OrchestratorDaemon> {
  const folder = mkdtempSync(join(tmpdir(), 'limits-'))
  const daemon = new OrchestratorDaemon(
    {
      port: 0,
      METRICS_PORT: 0,
      REDIS_URL: required('TEST_REDIS_URL'),
      DATABASE_URL: await ownDatabase(),
      CLUSTER_NAME: cluster,
      SHARD_COUNT: 4,
      DAEMON_JWT_SECRET: '',
      DAEMON_AUTH_API_KEYS: JSON.stringify([{ key: KEY, clientId: 'ci' }]),
      DAEMON_RATE_LIMIT_ENABLED: true,
      DAEMON_RATE_LIMIT_MAX: 5,
      DAEMON_AUTH_MAX_CONNECTIONS: 2,
      DATA_DIR: join(folder, 'data'),
      WORKSPACE_ROOT: join(folder, 'workspaces'),
    },
    { log: silentLog },
  )
  onTestFinished(async () => {
    await daemon.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  await daemon.start()
  return daemon
}

async function keysOf(cluster: string): Promise<string[]> {
  const config = {
    url: required('TEST_REDIS_URL'),
    clusterNodes: [],
    password: undefined,
    db: 0,
    connectTimeoutMs: 5_000,
  }
  const redis = await connectCommands(config, () => undefined)
  const keys = await redis.keys(`${cluster}:*`)
  disconnect(redis)
  return keys
}

test('a daemon takes its limits from the settings and counts in Redis, under the name of its cluster', async () => {
  const cluster = `limits-${randomBytes(4).toString('hex')}`
  const daemon = await startDaemon(cluster)
  const open = () => new WebSocket(`ws://127.0.0.1:${daemon.port}`, { headers: { 'x-api-key': KEY } })
  const [one, two] = [new RawClient(open()), new RawClient(open())]
  await Promise.all([one.type('health_check_response'), two.type('health_check_response')])

  for (let count = 0; count < 7; count++) one.send({ type: 'ping' })
  await vi.waitFor(() => expect(one.frames).toHaveLength(1 + 7), PATIENCE)
  const third = open()
  const status = await new Promise((resolve) => {
    third.on('error', () => undefined)
    third.on('unexpected-response', (_request, { statusCode }) => resolve(statusCode))
    third.on('open', () => resolve(101))
  })
  const keys = await keysOf(cluster)
  for (const { socket } of [one, two]) socket.terminate()

  expect(one.frames.filter(({ type }) => type === 'pong')).toHaveLength(5)
  expect(one.frames.filter(({ code }) => code === 'rate_limit_exceeded')).toHaveLength(2)
  expect(status).toBe(429)
  expect(keys).toContain(`${cluster}:msgs:ci:ci`)
  expect(keys).toContain(`${cluster}:conn:ci:ci`)
}, 60_000)
