/**
 * Limits of a client over several edges, counted in a real Redis; and what becomes of them when Redis is cut off.
 */
import { randomUUID } from 'node:crypto'
import { afterEach, expect, test, vi } from 'vitest'
import WebSocket from 'ws'
import { createRedisBus } from '../../src/bus/redis-bus.js'
import type { LimitSettings } from '../../src/edge/settings.js'
import type { SharedLimits } from '../../src/edge/shared-counts.js'
import type { NodeId } from '../../src/protocol/ids.js'
import { connectCommands, disconnect, type RedisConfig } from '../../src/redis/connect.js'
import { ConnectionCounts } from '../../src/redis/connection-counts.js'
import { MessageCounts } from '../../src/redis/message-counts.js'
import { CuttingProxy } from '../contract/wire/cutting-proxy.js'
import {
  AUTH,
  type EdgeOptions,
  type Fixture,
  type RawClient,
  startCluster,
  startEdge,
  token,
} from '../contract/wire/edge-fixture.js'
import { seededRandom } from '../support/random.js'

const DEFAULTS: LimitSettings = {
  messages: { max: 100, windowMs: 60_000 },
  connections: { perPrincipal: 10, perEdge: 1_000 },
}
const PATIENCE = { timeout: 10_000, interval: 20 } as const
const endings: (() => void | Promise<void>)[] = []

afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end()
})

const redis = (): RedisConfig => {
  const url = process.env.TEST_REDIS_URL
  if (!url) throw new Error('TEST_REDIS_URL is missing: the global setup of the tests provides it')
  return { url, clusterNodes: [], password: undefined, db: 0, connectTimeoutMs: 5_000 }
}

interface House {
  readonly name: string
  start(options?: Partial<EdgeOptions>): Promise<Fixture>
}

/** Edges of one cluster that see each other; limits are counted through `limitsRedis`. */
async function house(limitsRedis = redis(), limits = DEFAULTS): Promise<House> {
  const name = `limits-${randomUUID()}`
  const bus = await createRedisBus({ redis: redis(), cluster: name, lanes: 1, onError: () => undefined })
  const cluster = await startCluster(bus)
  const live: NodeId[] = []
  return {
    name,
    start: async (options = {}) => {
      const sharedLimits = await sharedLimitsOf(limitsRedis, name)
      const about = { auth: AUTH, cluster, sharedLimits, others: () => live, settings: { limits } }
      const edge = await startEdge({ ...about, ...options })
      live.push(edge.id)
      return edge
    },
  }
}

async function sharedLimitsOf(config: RedisConfig, name: string): Promise<SharedLimits> {
  const client = await connectCommands(config, () => undefined)
  endings.push(() => disconnect(client))
  return { messages: new MessageCounts(client, name), connections: new ConnectionCounts(client, name) }
}

async function pongs(raw: RawClient, count: number): Promise<number> {
  const before = raw.frames.length
  for (let id = 0; id < count; id++) raw.send({ type: 'ping' })
  await vi.waitFor(() => expect(raw.frames.length).toBe(before + count), PATIENCE)
  return raw.frames.slice(before).filter(({ type }) => type === 'pong').length
}

/** 101, or the status of the refusal; an open connection is kept. */
async function knock(url: string, value: string): Promise<{ status: number; socket: WebSocket }> {
  const socket = new WebSocket(url, { headers: { authorization: `Bearer ${value}` } })
  endings.push(() => socket.terminate())
  socket.on('error', () => undefined)
  return new Promise((resolve) => {
    socket.on('open', () => resolve({ status: 101, socket }))
    socket.on('unexpected-response', (_request, { statusCode }) => resolve({ status: statusCode ?? 0, socket }))
  })
}

test('two edges share the limit: exactly 100 messages pass, and the 101st is refused at either', async () => {
  const { start } = await house()
  const [one, two] = [await start(), await start()]
  const [here, there] = [await one.client({ token: await token() }), await two.client({ token: await token() })]

  const [first, second] = await Promise.all([pongs(here, 70), pongs(there, 70)])

  expect(first + second).toBe(100)
  expect([await pongs(here, 1), await pongs(there, 1)]).toEqual([0, 0])
})

test('with leases of many points two edges pass no more than the limit, and lose at most a lease each', async () => {
  const max = 2_000
  const { start } = await house(redis(), { ...DEFAULTS, messages: { max, windowMs: 60_000 } })
  const [one, two] = [await start(), await start()]
  const [here, there] = [await one.client({ token: await token() }), await two.client({ token: await token() })]

  const [first, second] = [await pongs(here, 995), await pongs(there, 1_020)]

  expect(first).toBe(995)
  expect(first + second).toBeLessThanOrEqual(max)
  expect(first + second).toBeGreaterThanOrEqual(max - 2 * (max / 200))
})

test('when Redis is cut off every edge counts for itself, says so once, and nobody is turned away', async () => {
  const direct = new URL(redis().url ?? '')
  const proxy = new CuttingProxy(Number(direct.port), seededRandom('limits proxy'), 1)
  proxy.cutting = false
  await proxy.start()
  endings.push(() => proxy.stop())
  const through = new URL(direct)
  through.port = String(proxy.port)
  const { start } = await house({ ...redis(), url: through.href })
  const warn = vi.fn()
  const edge = await start({ log: { warn } })
  const raw = await edge.client({ token: await token() })
  await pongs(raw, 10)

  await proxy.stop()
  const during = await pongs(raw, 105)

  expect(during).toBe(100)
  expect((await knock(edge.url, await token())).status, 'connections too').toBe(101)
  expect(warn.mock.calls.filter(([, text]) => String(text).includes('count messages'))).toHaveLength(1)
})

test('the eleventh connection over two edges does not stay, and within two seconds it is refused at the door', async () => {
  const { start } = await house()
  const [one, two] = [await start(), await start()]
  const good = await token()
  for (let count = 0; count < 5; count++) await one.client({ token: good })
  const others: RawClient[] = []
  for (let count = 0; count < 5; count++) others.push(await two.client({ token: good }))

  const eleventh = await knock(one.url, good)
  const closed = new Promise((resolve) => eleventh.socket.on('close', (code) => resolve(code)))
  const end = eleventh.status === 101 ? await closed : eleventh.status

  expect([1008, 429], 'closed after the upgrade, or refused before it').toContain(end)
  await vi.waitFor(async () => expect((await knock(one.url, good)).status).toBe(429), PATIENCE)
  await vi.waitFor(async () => expect((await knock(two.url, good)).status).toBe(429), PATIENCE)
  expect(
    others.map(({ closed: end }) => end),
    'those that were there stay',
  ).toEqual(Array(5).fill(undefined))

  await others[0]?.close()
  await vi.waitFor(async () => {
    const { status, socket } = await knock(one.url, good)
    expect(status).toBe(101)
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(socket.readyState).toBe(WebSocket.OPEN)
  }, PATIENCE)
})

test('connections of an edge that died do not count', async () => {
  const { start, name } = await house()
  const one = await start()
  const good = await token()
  for (let count = 0; count < 9; count++) await one.client({ token: good })
  const { connections } = await sharedLimitsOf(redis(), name)

  // What a crash leaves behind: a count that no living edge stands for.
  const counted = async () => (await connections.write('alice:alice', 'edge@dead', 5)).get(one.id)
  await vi.waitFor(async () => expect(await counted()).toBe(9), PATIENCE)
  const tenth = await knock(one.url, good)
  await vi.waitFor(async () => expect(await counted()).toBe(10), PATIENCE)
  await pongs(await one.client({ token: await token({ sub: 'bob' }) }), 1)

  expect(tenth.socket.readyState).toBe(WebSocket.OPEN)
})

test('an edge that has never heard of a session knows whose it is', async () => {
  const { start } = await house()
  const [one, two] = [await start(), await start()]
  const claims = { tenant: 'acme' }
  const alice = await one.client({ token: await token({ claims }) })
  const sessionId = await alice.spawn()

  const ask = async (sub: string, role: string): Promise<unknown> => {
    const raw = await two.client({ token: await token({ sub, claims: { ...claims, role } }) })
    return (await raw.ask({ type: 'session_status', payload: { sessionId } })).type
  }

  expect(await ask('bob', 'user')).toBe('error')
  expect(await ask('alice', 'user')).toBe('session_status_update')
  expect(await ask('root', 'admin')).toBe('session_status_update')
})

test('an address that is limited later counts what it had before, over all edges, within seconds', async () => {
  const { start } = await house()
  const [one, two] = [await start(), await start()]
  const good = await token()
  await one.client({ token: good })
  await one.client({ token: good })

  const perAddress = { connections: 2 }
  for (const { edge } of [one, two]) edge.limitClients({ ...DEFAULTS, perAddress })

  await vi.waitFor(async () => expect((await knock(two.url, good)).status).toBe(429), PATIENCE)
  expect((await knock(one.url, good)).status).toBe(429)
  const wide = { ...DEFAULTS, perAddress: { connections: 100 } }
  for (const { edge } of [one, two]) edge.limitClients(wide)
  await vi.waitFor(async () => expect((await knock(two.url, good)).status).toBe(101), PATIENCE)
})
