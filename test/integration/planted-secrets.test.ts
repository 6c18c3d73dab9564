/**
 * Secrets are planted wherever a node takes some, in words that no pattern knows; then it works, fails, and loses its stores.
 * None of them comes out: not in logs of either format and any level, metrics, health, frames, answers over HTTP, what
 * tools see, events, tables, keys of Redis, or files. What clients wrote themselves stands where their work is kept only.
 */
import { randomBytes } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { sql } from 'kysely'
import pg from 'pg'
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import { type RunningRedis, startRedis } from '../../scripts/servers/servers.js'
import { withRedis } from '../../src/chaos/servers/redis-admin.js'
import { loadConfig } from '../../src/config/load.js'
import { allSettings } from '../../src/config/schema.js'
import { type Database, openDatabase } from '../../src/storage/database.js'
import { token } from '../contract/wire/edge-fixture.js'
import { Shell } from '../support/command-line.js'
import { createServerDatabase } from '../support/databases.js'
import { type EchoingVendor, echoingVendor } from '../support/echoing-vendor.js'
import { PATIENCE, RawClient, type RunningDaemon, settingsFolder, startWith } from '../support/settings-fixture.js'

/** A word that is nowhere else, and looks like nothing. */
const planted = (name: string): string => `${name}Quxwort${randomBytes(12).toString('hex')}`

/** Of the operator: they come out nowhere at all. */
const OPERATOR = {
  jwt: planted('jwt'),
  previous: planted('previous'),
  passphrase: planted('passphrase'),
  collector: planted('collector'),
  apiKey: planted('apikey'),
  model: planted('model'),
  anthropic: planted('anthropic'),
  database: planted('database'),
  redis: planted('redis'),
  webhook: planted('webhook'),
  webhookPath: planted('hookpath'),
  chat: planted('chat'),
  neolithKey: planted('neolithkey'),
  neolith: planted('neolith'),
  environment: planted('environment'),
}
/** No file is there. */
const TLS = {
  ...{ DAEMON_TLS_CERT_FILE: '/nowhere/cert.pem', DAEMON_TLS_KEY_FILE: '/nowhere/key.pem' },
  DAEMON_TLS_KEY_PASSPHRASE: OPERATOR.passphrase,
}
/** Of clients, in what they ask: kept with their work, and shown to nobody who does not see that. */
const CLIENT = {
  urlToken: planted('urltoken'),
  urlKey: planted('urlkey'),
  header: planted('header'),
  frame: planted('frame'),
  argument: planted('argument'),
}
/** Tables that hold the work of clients, as they wrote it. */
const THEIR_WORK = new Set([
  ...[
    'sessions',
    'events',
    'tasks',
    'steps',
    'approvals',
    'memory_items',
    'transcript_entries',
    'swarms',
    'dead_letters',
  ],
  ...['scheduled_tasks', 'workspace_blobs'],
])

const folder = settingsFolder()
let vendor: EchoingVendor
let redis: RunningRedis
let server: Awaited<ReturnType<typeof createServerDatabase>>
let databaseUrl: string

beforeAll(async () => {
  for (const name of ['OPENAI_API_KEY', 'PLANTED_IN_ENVIRONMENT', 'NPM_TOKEN']) vi.stubEnv(name, OPERATOR.environment)
  ;[vendor, redis, server] = await Promise.all([echoingVendor(), startRedis({ own: true }), createServerDatabase()])
  await withRedis(redis.url, (client) => client.config('SET', 'requirepass', OPERATOR.redis))
  databaseUrl = await ownedBy(server.url, OPERATOR.database)
})
afterAll(async () => {
  vi.unstubAllEnvs()
  vendor?.stop()
  await redis?.stop()
  const role = new URL(databaseUrl).username
  await withAdmin(server.url, (admin) => admin.query(`reassign owned by ${role} to current_user`))
  const { url } = server
  await server.remove()
  await withAdmin(new URL('/postgres', url).href, (admin) => admin.query(`drop role ${role}`))
  folder.remove()
})

async function withAdmin(url: string, work: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await work(client).finally(() => client.end())
}

/** A role of its own with this password, which owns the database. */
async function ownedBy(address: string, password: string): Promise<string> {
  const url = new URL(address)
  const role = `planted_${randomBytes(4).toString('hex')}`
  await withAdmin(address, async (admin) => {
    await admin.query(`create role ${role} login password '${password}'`)
    await admin.query(`alter database ${url.pathname.slice(1)} owner to ${role}`)
  })
  url.username = role
  url.password = password
  return url.href
}

function settings(more: Readonly<Record<string, string>>): Record<string, string> {
  const redisUrl = new URL(redis.url)
  return {
    ...{ DAEMON_JWT_SECRET: OPERATOR.jwt, OPENAI_API_KEY: OPERATOR.model, ANTHROPIC_API_KEY: OPERATOR.anthropic },
    DAEMON_AUTH_API_KEYS: JSON.stringify([{ key: OPERATOR.apiKey, clientId: 'acme', role: 'admin' }]),
    ...{ DAEMON_JWT_PREVIOUS_SECRETS: JSON.stringify([OPERATOR.previous]), POSTGRES_PASSWORD: OPERATOR.database },
    ...{ DATABASE_URL: databaseUrl, OPENAI_BASE_URL: vendor.url, OPENAI_MODEL: 'gpt-4.1' },
    ...{
      REDIS_URL: `redis://${redisUrl.host}`,
      REDIS_PASSWORD: OPERATOR.redis,
      REDIS_SENTINEL_PASSWORD: OPERATOR.redis,
    },
    ...{ TOKEN_BUDGET_WEBHOOK_SECRET: OPERATOR.webhook, TOKEN_BUDGET_DAILY: '1000000' },
    TOKEN_BUDGET_WEBHOOK_URL: `http://user:${OPERATOR.webhook}@127.0.0.1:1/${OPERATOR.webhookPath}?key=${OPERATOR.webhook}`,
    TOKEN_BUDGET_CHAT_URL: `http://127.0.0.1:1/hooks/${OPERATOR.chat}`,
    OTEL_EXPORTER_OTLP_HEADERS: `authorization=${OPERATOR.collector}`,
    ...{ NEOLITH_API_KEY: OPERATOR.neolithKey, NEOLITH_API_SECRET: OPERATOR.neolith },
    ...{ SHARD_COUNT: '4', CLUSTER_NAME: `planted-${randomBytes(4).toString('hex')}`, LOG_LEVEL: 'debug' },
    ...more,
  }
}

/** What a test has collected from a node, by where it came from. */
class Outputs {
  readonly #texts = new Map<string, string>()

  add(where: string, text: string): void {
    this.#texts.set(where, `${this.#texts.get(where) ?? ''}\n${text}`)
  }

  /** `where: which` for everything that came out. */
  leaks(secrets: Readonly<Record<string, string>>): string[] {
    return Object.entries(secrets).flatMap(([which, secret]) =>
      [...this.#texts].flatMap(([where, text]) =>
        spellings(secret).some((it) => text.includes(it)) ? [`${where}: ${which}`] : [],
      ),
    )
  }

  get size(): number {
    return [...this.#texts.values()].reduce((sum, text) => sum + text.length, 0)
  }
}

/** As it is, and as it stands in URLs, headers and JSON of JSON. */
const spellings = (secret: string): string[] => [
  secret,
  Buffer.from(secret).toString('base64').replace(/=+$/, '').slice(0, -2),
  Buffer.from(secret).toString('hex'),
]

async function fetchText(url: string, init: RequestInit = {}): Promise<string> {
  const response = await fetch(url, init)
  return `${response.status} ${JSON.stringify([...response.headers])} ${await response.text()}`
}

/** Everything that a node does for clients, well and badly. */
async function drive({ daemon }: RunningDaemon, tenant: string, outputs: Outputs): Promise<void> {
  const http = `http://127.0.0.1:${daemon.port}`
  const admin = await token({ sub: 'root', claims: { tenant, role: 'admin' } }, OPERATOR.jwt)
  const client = await RawClient.connect(`ws://127.0.0.1:${daemon.port}/?token=${admin}`)
  onTestFinished(() => client.close())
  const tasks = [
    'run `env; export -p; echo "$OPENAI_API_KEY $NPM_TOKEN"`',
    'run `cat /proc/self/environ`',
    `run \`curl -H "Authorization: Bearer ${CLIENT.argument}" http://127.0.0.1:1/?key=${CLIENT.argument}\``,
    `run \`sudo rm -rf / --password=${CLIENT.argument}\``,
    ...['fail with 401', 'fail with 400', 'fail with 500', 'fail with 429', 'say a word'],
  ]
  const spawn = (task: string) =>
    client.send({ type: 'spawn_session', payload: { orchestratorId: 'o', task, sessionType: 'llm' } })
  for (const task of tasks) spawn(task)
  client.send({ type: 'spawn_session', payload: { task: 'x', sessionType: 'echo', mcp: CLIENT.frame } })
  client.send({ type: 'ping', auth: { token: CLIENT.frame } })
  client.send({ type: 'ping', auth: { apiKey: CLIENT.frame } })
  client.send({ type: CLIENT.frame })
  client.socket.send(`{"type":"ping","auth":{"token":"${CLIENT.frame}`)
  const ended = () => client.frames.filter(({ type }) => type === 'task_completed' || type === 'task_failed').length
  const asked = () => client.frames.filter(({ type }) => type === 'approval_request').length
  await vi.waitUntil(() => ended() + asked() >= tasks.length, { timeout: 60_000, interval: 50 })
  spawn('use much')
  await client.frame('budget_alert')
  for (const bad of [`token=${CLIENT.urlToken}`, `apiKey=${CLIENT.urlKey}`]) {
    await RawClient.connect(`ws://127.0.0.1:${daemon.port}/?${bad}`).catch((error) =>
      outputs.add('handshakes', String(error)),
    )
    for (const path of ['/api/whoami', '/api/nothing', '/elsewhere', '/api/sessions'])
      outputs.add('answers over HTTP', await fetchText(`${http}${path}?${bad}`))
  }
  const headers = [{ authorization: `Bearer ${CLIENT.header}` }, { 'x-api-key': CLIENT.header }]
  for (const header of headers)
    outputs.add('answers over HTTP', await fetchText(`${http}/api/whoami`, { headers: header }))
  const known = { authorization: `Bearer ${admin}`, cookie: CLIENT.header }
  for (const path of ['sessions', 'status', 'charter', 'cluster', 'usage', 'budgets', 'openapi.json', 'audit'])
    outputs.add('answers over HTTP', await fetchText(`${http}/api/${path}`, { headers: known }))
  outputs.add('answers over HTTP', await fetchText(`${http}/api/whoami`, { headers: { 'x-api-key': OPERATOR.apiKey } }))
  outputs.add('frames', client.frames.map((frame) => JSON.stringify(frame)).join('\n'))
}

async function watch({ daemon, lines }: RunningDaemon, outputs: Outputs): Promise<void> {
  for (const path of ['/metrics', '/health', '/ready', '/accepting', '/live'])
    outputs.add(path, await fetchText(`http://127.0.0.1:${daemon.metricsPort}${path}`))
  outputs.add('the log', lines.join('\n'))
}

async function dumpTables(database: Database): Promise<ReadonlyMap<string, string>> {
  const { rows: names } = await sql<{ name: string }>`
    select tablename as name from pg_tables where schemaname = 'public' order by tablename`.execute(database.sql)
  const dumped = names.map(async ({ name }) => {
    const { rows } = await sql<{ row: string }>`select to_json(t)::text as row from ${sql.table(name)} t`.execute(
      database.sql,
    )
    return [name, rows.map(({ row }) => row).join('\n')] as const
  })
  return new Map(await Promise.all(dumped))
}

const dumpRedis = (): Promise<string> =>
  withRedis(`redis://:${OPERATOR.redis}@${new URL(redis.url).host}`, async (client) => {
    const keys = await client.keys('*')
    const values = keys.map(async (key) => {
      const type = await client.type(key)
      if (type === 'string') return await client.get(key)
      if (type === 'hash') return await client.hgetall(key)
      if (type === 'stream') return await client.xrange(key, '-', '+')
      if (type === 'list') return await client.lrange(key, '0', '-1')
      return type === 'zset' ? await client.zrange(key, '0', '-1') : await client.smembers(key)
    })
    return keys.length === 0 ? '' : JSON.stringify([keys, await Promise.all(values)])
  })

function dumpFiles(root: string): string {
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).map((name) => join(root, name))
  return files
    .flatMap((file) => (statSync(file).isFile() ? [`${file}\n${readFileSync(file, 'latin1')}`] : []))
    .join('\n')
}

test('every setting that holds a secret has one planted', () => {
  const names = allSettings().flatMap(({ setting }) => (setting.secret ? [setting.env] : []))
  const env = settings(TLS)

  expect(names.length).toBeGreaterThan(12)
  expect(names.filter((name) => !/Quxwort/.test(env[name] ?? '') && name !== 'REDIS_URL')).toEqual([])
})

test.each(['json', 'text'])(
  'a node that works and fails tells none of them, with %s lines in its log',
  async (format) => {
    const running = await startWith(folder.path, settings({ LOG_FORMAT: format }))
    onTestFinished(() => running.stop())
    const outputs = new Outputs()

    await drive(running, `acme-${format}`, outputs)
    await watch(running, outputs)

    const own = new Outputs()
    const database = await openDatabase({ kind: 'postgres', url: server.url, poolSize: 2, connectTimeoutMs: 5_000 })
    onTestFinished(() => database.close())
    await vi.waitUntil(async () => (await dumpTables(database)).get('events')?.includes(CLIENT.argument), PATIENCE)
    const tables = await dumpTables(database)
    for (const [name, text] of tables) outputs.add(`table ${name}`, text)
    for (const [name, text] of tables) if (!THEIR_WORK.has(name)) own.add(`table ${name}`, text)
    outputs.add('Redis', await dumpRedis())
    outputs.add('files', dumpFiles(folder.path))
    outputs.add('what the model heard', vendor.heard.join('\n'))
    await watch(running, own)
    const { argument: _theirWork, ...credentials } = CLIENT

    expect(outputs.size).toBeGreaterThan(50_000)
    expect(outputs.leaks(OPERATOR)).toEqual([])
    expect(own.leaks(CLIENT)).toEqual([])
    expect(outputs.leaks(credentials)).toEqual([])
    expect(vendor.heard.some((text) => text.includes('PATH='))).toBe(true)
  },
  120_000,
)

test('a node that loses its stores tells none of them', async () => {
  const running = await startWith(folder.path, settings({}))
  onTestFinished(() => running.stop())
  const outputs = new Outputs()
  await withRedis(`redis://:${OPERATOR.redis}@${new URL(redis.url).host}`, (client) =>
    client.config('SET', 'requirepass', 'x'),
  )
  await withRedis(`redis://:x@${new URL(redis.url).host}`, (client) => client.client('KILL', 'TYPE', 'NORMAL'))
  await withAdmin(server.url, (admin) =>
    admin.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where usename = '${new URL(databaseUrl).username}'`,
    ),
  )

  await vi.waitUntil(
    async () => (await fetchText(`http://127.0.0.1:${running.daemon.metricsPort}/health`)).includes('unhealthy'),
    PATIENCE,
  )
  await watch(running, outputs)
  await running.stop()
  await withRedis(`redis://:x@${new URL(redis.url).host}`, (client) =>
    client.config('SET', 'requirepass', OPERATOR.redis),
  )
  outputs.add('the log', running.lines.join('\n'))

  expect(outputs.leaks(OPERATOR)).toEqual([])
})

test.each<[string, Record<string, string>]>([
  ['PostgreSQL that is not there', { DATABASE_URL: `postgres://user:${OPERATOR.database}@127.0.0.1:1/db` }],
  ['Redis that is not there', { REDIS_URL: `redis://:${OPERATOR.redis}@127.0.0.1:1` }],
  ['key that cannot be read', TLS],
])('a start with a %s tells none of them', async (_what, more) => {
  const outputs = new Outputs()
  const lines: string[] = []
  const start = startWith(
    folder.path,
    settings({ ...more, REDIS_CONNECT_TIMEOUT: '500', DATABASE_CONNECT_TIMEOUT: '500' }),
  )
  const error: unknown = await start.then(
    (running) => running.stop(),
    (reason: unknown) => reason,
  )
  outputs.add(
    'the failure',
    [String(error), String((error as Error)?.stack), JSON.stringify(error), ...lines].join('\n'),
  )

  expect(error).toBeInstanceOf(Error)
  expect(outputs.leaks(OPERATOR)).toEqual([])
})

test.each<[string, Record<string, string>]>([
  ['a secret that is too short', { DAEMON_JWT_SECRET: OPERATOR.jwt.slice(0, 31) }],
  ['keys that are no JSON', { DAEMON_AUTH_API_KEYS: `[{"key":"${OPERATOR.apiKey}"` }],
  ['keys without a client', { DAEMON_AUTH_API_KEYS: `[{"key":"${OPERATOR.apiKey}"}]` }],
  ['an address that is none', { DATABASE_URL: `postgres//user:${OPERATOR.database}@host/db` }],
  ['a Redis that is none', { REDIS_URL: `http://:${OPERATOR.redis}@host` }],
])('%s is refused without being told', (_what, env) => {
  const outputs = new Outputs()
  try {
    loadConfig({ flags: {}, env: settings(env), cwd: folder.path })
  } catch (error) {
    outputs.add('the mistakes', [String(error), JSON.stringify(error), (error as Error).stack].join('\n'))
  }

  expect(outputs.size).toBeGreaterThan(0)
  expect(outputs.leaks({ ...OPERATOR, jwt: OPERATOR.jwt.slice(0, 31) })).toEqual([])
})

test('the command line tells none of them', async () => {
  const shell = await Shell.open(
    settings({ DAEMON_PORT: '1', DATABASE_URL: `postgres://u:${OPERATOR.database}@127.0.0.1:1/db` }),
  )
  onTestFinished(() => shell.close())
  const outputs = new Outputs()
  const commands = [
    ['config'],
    ['config', '--json'],
    ['status'],
    ['health', '--timeout', '100'],
    ['migrate'],
    ['start'],
  ]
  for (const args of [...commands, ['cluster', 'status'], ['sessions'], ['audit', 'verify'], ['--help']]) {
    const { stdout, stderr } = await shell.run(...args)
    outputs.add(args.join(' '), `${stdout}\n${stderr}`)
  }

  expect(outputs.size).toBeGreaterThan(1_000)
  expect(outputs.leaks(OPERATOR)).toEqual([])
}, 120_000)
