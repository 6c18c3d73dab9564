/**
 * Edges over a real Redis: two of them share sessions, and what Redis loses or interrupts costs time but no event.
 */
import { randomUUID } from 'node:crypto'
import { afterEach, expect, test, vi } from 'vitest'
import WebSocket from 'ws'
import { createRedisBus } from '../../src/bus/redis-bus.js'
import { type Client, type ConnectOptions, connect, FROM_START, type SessionHandle } from '../../src/client/client.js'
import type { ServerMessage } from '../../src/protocol/events.js'
import { connectCommands, disconnect, type RedisConfig } from '../../src/redis/connect.js'
import { CuttingProxy } from '../contract/wire/cutting-proxy.js'
import { type Cluster, startCluster, startEdge } from '../contract/wire/edge-fixture.js'
import { seededRandom } from '../support/random.js'

const webSocket = WebSocket as unknown as NonNullable<ConnectOptions['webSocket']>
const clients: Client[] = []

afterEach(() => {
  for (const client of clients.splice(0)) client.close()
})

const redis = (): RedisConfig => {
  const url = process.env.TEST_REDIS_URL
  if (!url) throw new Error('TEST_REDIS_URL is missing: the global setup of the tests provides it')
  return { url, clusterNodes: [], password: undefined, db: 0, connectTimeoutMs: 5_000 }
}

async function redisCluster(config = redis()): Promise<Cluster & { readonly name: string }> {
  const name = `edge-${randomUUID()}`
  const bus = await createRedisBus({ redis: config, cluster: name, lanes: 1, onError: () => undefined })
  return { ...(await startCluster(bus)), name }
}

async function open(...urls: string[]): Promise<Client> {
  const client = await connect({ urls, webSocket })
  clients.push(client)
  return client
}

/** Collects what a handle hears until its session ends. */
function listen(session: SessionHandle): { readonly messages: ServerMessage[]; readonly ended: Promise<void> } {
  const messages: ServerMessage[] = []
  const ended = (async () => {
    for await (const message of session) messages.push(message)
  })()
  return { messages, ended }
}

/** What was heard, whatever pieces it came in: events as they are, text joined. */
function story(messages: readonly ServerMessage[]): string[] {
  const told: string[] = []
  const texts = new Map<string, string>()
  for (const message of messages) {
    if (message.type === 'stream_chunk') {
      const { messageId, offset, chunk } = message.data
      const before = texts.get(messageId) ?? ''
      expect(offset).toBe(Buffer.byteLength(before))
      texts.set(messageId, before + chunk)
    } else if (message.type !== 'subscribed' && 'eventId' in message) {
      const text = message.type === 'stream_end' ? ` "${texts.get(message.messageId)}"` : ''
      told.push(`${message.eventId} ${message.type}${text}`)
    }
  }
  return told
}

test('D-10: a session spawned at one edge is watched and worked at another', async () => {
  const cluster = await redisCluster()
  const [one, two] = [await startEdge({ cluster }), await startEdge({ cluster })]
  const [spawner, worker] = [await open(one.url), await open(two.url)]

  const session = await spawner.spawn({ task: 'wait' })
  const heard = listen(session)
  const attached = await worker.attach(session.id, FROM_START)
  const alsoHeard = listen(attached)
  const end = await attached.execute('stream over two edges')
  const known = await worker.status(session.id)
  await attached.stop()
  await Promise.all([heard.ended, alsoHeard.ended])

  expect(end.type).toBe('task_completed')
  expect(known).toMatchObject({ id: session.id, status: 'active' })
  expect(story(heard.messages)).toEqual([
    '1-1 session_spawned',
    '1-2 task_executing',
    '1-3 stream_start',
    '1-4 stream_end "over two edges"',
    '1-5 task_completed',
    '1-6 session_status_update',
  ])
  expect(story(alsoHeard.messages)).toEqual(story(heard.messages))
})

test('an out-stream that is lost is opened anew, and nobody misses or repeats anything', async () => {
  const cluster = await redisCluster()
  const edge = await startEdge({ cluster })
  const client = await open(edge.url)
  const admin = await connectCommands(redis(), () => undefined)
  const session = await client.spawn({ task: 'wait' })
  const heard = listen(session)

  for (let round = 0; round < 3; round++) {
    const keys = await admin.keys(`${cluster.name}:*out:*`)
    const lost = await admin.del(...keys)
    expect(lost, 'there was an out-stream').toBeGreaterThan(0)
    const end = await session.execute(`stream round ${round}`)
    expect(end.type).toBe('task_completed')
  }
  await session.stop()
  await heard.ended
  disconnect(admin)

  expect(story(heard.messages)).toHaveLength(1 + 3 * 4 + 1)
  expect(story(heard.messages).filter((line) => line.includes('"'))).toEqual([
    expect.stringContaining('"round 0"'),
    expect.stringContaining('"round 1"'),
    expect.stringContaining('"round 2"'),
  ])
}, 60_000)

test('cut connections to Redis delay commands, and run none of them twice', async () => {
  const direct = new URL(redis().url ?? '')
  const proxy = new CuttingProxy(Number(direct.port), seededRandom('redis proxy'), 1)
  proxy.cutting = false
  await proxy.start()
  direct.port = String(proxy.port)
  const cluster = await redisCluster({ ...redis(), url: direct.href })
  const edge = await startEdge({ cluster })
  const client = await open(edge.url)
  const session = await client.spawn({ task: 'wait' })
  const heard = listen(session)
  await vi.waitFor(() => expect(heard.messages.length).toBeGreaterThan(0))

  // The worker of this test gives up when its own write is cut: commands are held back until Redis is reached again.
  await cluster.worker.pause()
  const work = session.execute('stream after the cut')
  proxy.cutAll()
  await vi.waitFor(() => cluster.bus.log.load(session.id))
  cluster.worker.paused = false
  const end = await work
  await session.stop()
  await heard.ended

  expect(end.type).toBe('task_completed')
  expect(new Set(cluster.worker.accepted).size).toBe(cluster.worker.accepted.length)
  expect(story(heard.messages)).toContain('1-4 stream_end "after the cut"')
  await proxy.stop()
}, 60_000)
