/**
 * Settings of one process take effect: written as in the environment, seen from outside.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { decodeJwt, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, vi } from 'vitest'
import { freePort } from '../support/free-port.js'
import {
  effect,
  type ModelRequest,
  PATIENCE,
  RawClient,
  type RunningDaemon,
  refusingModel,
  settingsFolder,
  startWith,
} from '../support/settings-fixture.js'

const HOST = '127.0.0.2'
const ORIGIN = 'https://app.example.com'
const TASK = { id: 't', description: 'say hello' }
const spawn = { type: 'spawn_session', payload: { orchestratorId: 'o', task: TASK, sessionType: 'llm' } }

// One after the other in one folder: a new database takes a second.
const folder = settingsFolder()
afterAll(() => folder.remove())

/** The first request that the vendor got for a session that was spawned by `client`. */
async function firstRequest(client: RawClient, requests: readonly ModelRequest[]): Promise<ModelRequest> {
  client.send(spawn)
  return vi.waitUntil(() => requests[0], PATIENCE)
}

describe('a daemon without credentials', () => {
  let running: RunningDaemon
  let client: RawClient
  let vendor: Awaited<ReturnType<typeof refusingModel>>
  let port: number
  let metricsPort: number

  beforeAll(async () => {
    vendor = await refusingModel()
    port = await freePort(HOST)
    metricsPort = await freePort('127.0.0.3')
    running = await startWith(folder.path, {
      DAEMON_HOST: HOST,
      DAEMON_PORT: String(port),
      DAEMON_NAME: 'node-of-this-test',
      DAEMON_MAX_SESSIONS: '7',
      DAEMON_MAX_MESSAGE_BYTES: '2048',
      DAEMON_HEARTBEAT_INTERVAL: '1000',
      DAEMON_CORS_ENABLED: 'true',
      DAEMON_CORS_ORIGINS: `http://localhost:3000,${ORIGIN}`,
      DAEMON_HEALTH_CHECK_INTERVAL: '100',
      SESSION_TIMEOUT: '3000',
      NODE_ENV: 'staging',
      METRICS_HOST: '127.0.0.3',
      METRICS_PORT: String(metricsPort),
      METRICS_PATH: '/figures',
      METRICS_INTERVAL: '100',
      HEALTH_CHECK_PATH: '/healthy',
      DASHBOARD_ENABLED: 'false',
      SHARD_COUNT: '8',
      ENABLE_FEDERATION: 'false',
      OPENAI_API_KEY: 'sk-of-this-test',
      OPENAI_MODEL: 'a-model',
      OPENAI_ORG_ID: 'org-of-this-test',
      OPENAI_BASE_URL: `${vendor.url}/v1`,
    })
    client = await RawClient.connect(`ws://${HOST}:${port}`)
  })

  afterAll(async () => {
    client.close()
    await running.stop()
    vendor.stop()
  })

  effect(['DAEMON_HOST', 'DAEMON_PORT'], 'clients find it there and nowhere else', async () => {
    expect(running.daemon.port).toBe(port)
    await expect(RawClient.connect(`ws://127.0.0.1:${port}`)).rejects.toThrow('ECONNREFUSED')
  })

  effect(['DAEMON_NAME', 'DAEMON_MAX_SESSIONS'], 'its status says so', async () => {
    const { status } = await client.ask({ type: 'daemon_status' }, 'daemon_status_response')

    expect(status).toMatchObject({ name: 'node-of-this-test', maxSessions: 7 })
  })

  effect(['SESSION_TIMEOUT'], 'a session that is not used for so long is completed', async () => {
    const other = await RawClient.connect(`ws://${HOST}:${port}`)
    other.send({ type: 'spawn_session', payload: { orchestratorId: 'o', task: 'once', sessionType: 'echo' } })
    const done = await other.frame('task_completed')

    const update = await other.frame('session_status_update')

    expect(update).toMatchObject({ session: { status: 'completed' } })
    // By the clock of the daemon: a client may hear of either late.
    expect(Date.parse(String(update.timestamp)) - Date.parse(String(done.timestamp))).toBeGreaterThan(2_500)
    other.close()
  })

  effect(['DAEMON_HEARTBEAT_INTERVAL'], 'clients are pinged that often', async () => {
    const before = client.pings

    await vi.waitUntil(() => client.pings >= before + 2, PATIENCE)
  })

  effect(['DAEMON_MAX_MESSAGE_BYTES'], 'a longer message is refused, and a shorter one is not', async () => {
    const other = await RawClient.connect(`ws://${HOST}:${port}`)
    other.send({ type: 'ping', padding: 'x'.repeat(1_900) })
    await other.frame('pong')

    other.send({ type: 'ping', padding: 'x'.repeat(2_100) })

    expect(await other.frame('error')).toMatchObject({ code: 'message_too_large' })
    other.close()
  })

  effect(['ENABLE_FEDERATION'], 'this node routes tasks and delegates none', async () => {
    const other = await RawClient.connect(`ws://${HOST}:${port}`)
    const route = (execute: boolean) => ({ type: 'route_task', payload: { task: 'x', execute } })

    expect(await other.ask(route(false), 'task_routed')).toMatchObject({ decision: { strategy: 'least-loaded' } })
    expect(await other.ask(route(true), 'error')).toMatchObject({ code: 'unavailable' })
    other.close()
  })

  effect(['HEALTH_CHECK_PATH'], 'the check is answered there', async () => {
    const at = async (path: string) => (await fetch(`http://${HOST}:${port}${path}`)).status

    expect(await Promise.all([at('/healthy'), at('/health')])).toEqual([200, 404])
  })

  effect(['DASHBOARD_ENABLED'], 'there is no dashboard, nor a word about one', async () => {
    const answer = await fetch(`http://${HOST}:${port}/ui/`)

    expect([answer.status, await answer.text()]).toEqual([404, 'Not Found'])
  })

  effect(['METRICS_HOST', 'METRICS_PORT', 'METRICS_PATH'], 'the page is there', async () => {
    const page = await fetch(`http://127.0.0.3:${metricsPort}/figures`)

    expect(page.status).toBe(200)
    expect(await page.text()).toContain('# TYPE')
  })

  effect(['METRICS_INTERVAL'], 'a line of the log tells the main figures that often', async () => {
    const figures = () => running.lines.filter((line) => line.includes('"msg":"figures"'))
    const before = figures().length

    await vi.waitUntil(() => figures().length >= before + 2, PATIENCE)
    expect(JSON.parse(String(figures().at(-1)))).toMatchObject({
      ...{ connections: expect.any(Number), waiting: expect.any(Number), commands: expect.any(Number) },
      ...{ tasks: expect.any(Number), memoryMb: expect.any(Number), cpuPercent: expect.any(Number) },
    })
  })

  effect(['DAEMON_CORS_ENABLED', 'DAEMON_CORS_ORIGINS'], 'pages of these origins may read answers', async () => {
    const allowed = async (origin: string) =>
      (await fetch(`http://${HOST}:${port}/healthy`, { headers: { origin } })).headers.get(
        'access-control-allow-origin',
      )
    const preflight = await fetch(`http://${HOST}:${port}/healthy`, {
      method: 'OPTIONS',
      headers: { origin: ORIGIN, 'access-control-request-method': 'GET' },
    })

    expect(await allowed(ORIGIN)).toBe(ORIGIN)
    expect(await allowed('https://evil.example.com')).toBeNull()
    expect(preflight.status).toBe(204)
    expect(preflight.headers.get('access-control-allow-origin')).toBe(ORIGIN)
    expect(preflight.headers.get('vary')).toBe('Origin')
  })

  effect(['NODE_ENV'], 'the line that says ready shows it', async () => {
    expect(running.lines.find((line) => line.includes('"msg":"ready"'))).toContain('"environment":"staging"')
  })

  effect(['SHARD_COUNT', 'DATA_DIR'], 'the database in the folder has as many', async () => {
    expect(running.lines.join('')).toMatch(/"shards":8\b/)
    expect(existsSync(join(folder.path, 'data'))).toBe(true)
  })

  effect(
    ['OPENAI_API_KEY', 'OPENAI_MODEL', 'OPENAI_ORG_ID', 'OPENAI_BASE_URL', 'WORKSPACE_ROOT'],
    'a session asks that server with them, and works in that folder',
    async () => {
      const { path, headers, body } = await firstRequest(client, vendor.requests)

      expect(path).toMatch(/^\/v1\//)
      expect(headers).toMatchObject({
        authorization: 'Bearer sk-of-this-test',
        'openai-organization': 'org-of-this-test',
      })
      expect(body).toMatchObject({ model: 'a-model' })
      expect(existsSync(join(folder.path, 'workspaces'))).toBe(true)
    },
  )
})

describe('a daemon with credentials', () => {
  const DAEMON_JWT_SECRET = 'a-secret-of-at-least-thirty-two-characters'
  const key = 'k'.repeat(32)
  let running: RunningDaemon
  let vendor: Awaited<ReturnType<typeof refusingModel>>

  beforeAll(async () => {
    vendor = await refusingModel()
    running = await startWith(folder.path, {
      DAEMON_JWT_SECRET,
      DAEMON_JWT_ISSUER: 'issuer-of-this-test',
      DAEMON_JWT_AUDIENCE: 'audience-of-this-test',
      DAEMON_JWT_EXPIRATION: '2h',
      DAEMON_AUTH_API_KEYS: JSON.stringify([{ key, clientId: 'ci' }]),
      DAEMON_AUTH_ALLOW_LOOPBACK: 'true',
      METRICS_ENABLED: 'false',
      HEALTH_CHECK_ENABLED: 'false',
      LOG_LEVEL: 'warn',
      ANTHROPIC_API_KEY: 'ant-of-this-test',
      ANTHROPIC_MODEL: 'another-model',
      ANTHROPIC_BASE_URL: vendor.url,
    })
  })

  afterAll(async () => {
    await running.stop()
    vendor.stop()
  })

  const url = () => `ws://127.0.0.1:${running.daemon.port}`
  const tokenOf = (issuer: string, audience: string, secret = DAEMON_JWT_SECRET) =>
    new SignJWT({ role: 'user', tenant: 'acme' })
      .setProtectedHeader({ alg: 'HS256' })
      .setSubject('me')
      .setIssuer(issuer)
      .setAudience(audience)
      .setIssuedAt()
      .setExpirationTime('1h')
      .sign(new TextEncoder().encode(secret))
  const enter = async (token: string) => RawClient.connect(url(), { authorization: `Bearer ${token}` })
  const good = () => tokenOf('issuer-of-this-test', 'audience-of-this-test')

  effect(
    ['DAEMON_JWT_SECRET', 'DAEMON_JWT_ISSUER', 'DAEMON_JWT_AUDIENCE'],
    'only tokens that fit come in',
    async () => {
      const client = await enter(await good())
      client.close()

      await expect(enter(await tokenOf('wundr-orchestrator', 'audience-of-this-test'))).rejects.toThrow('401')
      await expect(enter(await tokenOf('issuer-of-this-test', 'wundr-daemon'))).rejects.toThrow('401')
      const forged = await tokenOf('issuer-of-this-test', 'audience-of-this-test', `${DAEMON_JWT_SECRET}-not`)
      await expect(enter(forged)).rejects.toThrow('401')
    },
  )

  effect(['DAEMON_JWT_EXPIRATION'], 'a token that the daemon issues lives that long', async () => {
    const client = await enter(await good())

    const { token } = await client.ask({ type: 'token_refresh' }, 'token_refreshed')
    client.close()

    const { iat = 0, exp = 0 } = decodeJwt(String(token))
    expect(exp - iat).toBe(7_200)
  })

  effect(['DAEMON_AUTH_API_KEYS'], 'a program with one of the keys comes in', async () => {
    const client = await RawClient.connect(url(), { 'x-api-key': key })
    client.close()

    await expect(RawClient.connect(url(), { 'x-api-key': key.replace('k', 'x') })).rejects.toThrow('401')
  })

  effect(['DAEMON_AUTH_ALLOW_LOOPBACK'], 'a client of this machine comes in without credentials', async () => {
    const client = await RawClient.connect(url())
    client.close()

    expect(client.frames).toHaveLength(1)
  })

  effect(['METRICS_ENABLED'], 'nothing listens for metrics', async () => {
    expect(running.daemon.metricsPort).toBeUndefined()
  })

  effect(['HEALTH_CHECK_ENABLED'], 'no check is answered', async () => {
    expect((await fetch(`http://127.0.0.1:${running.daemon.port}/health`)).status).toBe(404)
  })

  effect(['LOG_LEVEL'], 'less important lines are not written', async () => {
    expect(running.lines.filter((line) => line.includes('"level":"info"'))).toEqual([])
  })

  effect(
    ['ANTHROPIC_API_KEY', 'ANTHROPIC_MODEL', 'ANTHROPIC_BASE_URL'],
    'a session asks that server with them',
    async () => {
      const client = await enter(await good())

      const { path, headers, body } = await firstRequest(client, vendor.requests)
      client.close()

      expect(path).toMatch(/^\/v1\/messages/)
      // The vendor's library decides which header carries it.
      expect([headers['x-api-key'], headers.authorization].join(' ')).toContain('ant-of-this-test')
      expect(body).toMatchObject({ model: 'another-model' })
    },
  )
})

describe('a daemon with limits', () => {
  const key = 'k'.repeat(32)
  let running: RunningDaemon

  beforeAll(async () => {
    running = await startWith(folder.path, {
      DAEMON_AUTH_MODE: 'api-key',
      DAEMON_JWT_SECRET: 'a-secret-of-at-least-thirty-two-characters',
      DAEMON_AUTH_API_KEYS: JSON.stringify([{ key, clientId: 'ci' }]),
      DAEMON_AUTH_MAX_CONNECTIONS: '2',
      DAEMON_RATE_LIMIT_ENABLED: 'true',
      DAEMON_RATE_LIMIT_MAX: '3',
      DAEMON_RATE_LIMIT_WINDOW: '2000',
      LOG_FORMAT: 'text',
    })
  })

  afterAll(() => running.stop())

  const url = () => `ws://127.0.0.1:${running.daemon.port}`
  const enter = () => RawClient.connect(url(), { 'x-api-key': key })

  effect(['DAEMON_AUTH_MAX_CONNECTIONS'], 'one more connection of a client is refused', async () => {
    const two = [await enter(), await enter()]

    await expect(enter()).rejects.toThrow('429')
    for (const client of two) client.close()
  })

  effect(
    ['DAEMON_RATE_LIMIT_ENABLED', 'DAEMON_RATE_LIMIT_MAX', 'DAEMON_RATE_LIMIT_WINDOW'],
    'one more message is refused, until the window is over',
    async () => {
      const client = await vi.waitFor(enter, PATIENCE)
      for (let message = 0; message < 4; message++) client.send({ type: 'ping' })

      expect(await client.frame('error')).toMatchObject({ error: 'rate_limit_exceeded' })
      expect(client.frames.filter(({ type }) => type === 'pong')).toHaveLength(3)
      await vi.waitUntil(
        () => {
          client.send({ type: 'ping' })
          return client.frames.filter(({ type }) => type === 'pong').length > 3
        },
        { timeout: 10_000, interval: 200 },
      )
      client.close()
    },
  )

  effect(['DAEMON_AUTH_MODE'], 'a token is refused where only keys are taken', async () => {
    await expect(RawClient.connect(url(), { authorization: 'Bearer a.b.c' })).rejects.toThrow('401')
    await expect(RawClient.connect(url())).rejects.toThrow('401')
  })

  effect(['LOG_FORMAT'], 'people can read the lines', async () => {
    expect(running.lines.join('')).toMatch(/^\S+ INFO .* ready .*port=/m)
  })
})
