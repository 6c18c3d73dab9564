/**
 * The client over a real edge: the usual life of a session, and exact continuation over cut connections.
 */
import { afterEach, expect, test } from 'vitest'
import WebSocket from 'ws'
import {
  type Client,
  ClientError,
  type ConnectOptions,
  connect,
  FROM_START,
  type SessionHandle,
} from '../../../src/client/client.js'
import type { ServerMessage } from '../../../src/protocol/events.js'
import { seededRandom } from '../../support/random.js'
import { CuttingProxy } from './cutting-proxy.js'
import { AUTH, startEdge, token, WIDE_LIMITS } from './edge-fixture.js'

const webSocket = WebSocket as unknown as NonNullable<ConnectOptions['webSocket']>
const clients: Client[] = []

/** The WebSocket of `ws`, whose making is watched. */
const socketClass = (made: (address: string, socket: WebSocket) => void): NonNullable<ConnectOptions['webSocket']> =>
  class extends WebSocket {
    constructor(address: string) {
      super(address)
      made(address, this)
    }
  } as unknown as NonNullable<ConnectOptions['webSocket']>

async function open(options: Partial<ConnectOptions>): Promise<Client> {
  const client = await connect({ webSocket, ...options })
  clients.push(client)
  return client
}

afterEach(() => {
  for (const client of clients.splice(0)) client.close()
})

/** Reads until a task has ended. */
async function readTask(session: SessionHandle): Promise<ServerMessage[]> {
  const messages: ServerMessage[] = []
  for await (const message of session) {
    messages.push(message)
    if (message.type === 'task_completed' || message.type === 'task_failed') break
  }
  return messages
}

test('a spawned session takes a task, streams its text and returns the event that ended it', async () => {
  const { url } = await startEdge()
  const client = await open({ url })

  const session = await client.spawn({ task: 'wait', sessionType: 'echo' })
  const end = await session.execute('stream one two three')
  const messages = await readTask(session)

  expect(end).toMatchObject({ type: 'task_completed', result: { success: true } })
  expect(messages.map(({ type }) => type)).toEqual([
    'session_spawned',
    'task_executing',
    'stream_start',
    'stream_chunk',
    'stream_chunk',
    'stream_chunk',
    'stream_end',
    'task_completed',
  ])
  const started = messages.find((message) => message.type === 'stream_start')
  expect(session.text(started?.messageId ?? '')).toBe('one two three')
  expect(session.position.eventId).toBe('1-5')
})

test('a failed task is a result, not an exception; a refused one is an exception with a code', async () => {
  const { url } = await startEdge()
  const client = await open({ url })
  const session = await client.spawn({ task: 'wait' })

  const failed = await session.execute('fail for a reason')
  await session.stop()

  expect(failed).toMatchObject({ type: 'task_failed', error: 'for a reason' })
  await expect(client.attach('session_000_01ARZ3NDEKTSV4RRFFQ69G5FAV')).rejects.toMatchObject({
    name: 'ClientError',
    code: 'session_not_found',
  })
})

test('iteration ends with the session, and what still waits for it is told', async () => {
  const { url } = await startEdge()
  const client = await open({ url })
  const session = await client.spawn({ task: 'wait' })
  const result = session.result()

  await session.stop()
  const types: string[] = []
  for await (const { type } of session) types.push(type)

  expect(types).toEqual(['session_spawned', 'session_status_update'])
  await expect(result).rejects.toMatchObject({ code: 'session_ended' })
  expect(session.ended).toBe(true)
})

test('status, list and ping answer', async () => {
  const { url } = await startEdge()
  const client = await open({ url })
  const session = await client.spawn({ task: 'wait', orchestratorId: 'orchestrator-1' })

  expect(await client.status()).toMatchObject({ name: 'orchestrator-daemon', status: 'running' })
  expect(await session.status()).toMatchObject({ id: session.id, status: 'active' })
  expect((await client.list()).sessions.map(({ id }) => id)).toEqual([session.id])
  expect(await client.ping()).toBeGreaterThan(0)
})

test('another client attached from the start hears the same story', async () => {
  const { url } = await startEdge()
  const first = await open({ url })
  const second = await open({ url })
  const session = await first.spawn({ task: 'wait' })
  await session.execute('stream a long story')

  const attached = await second.attach(session.id, FROM_START)
  const story = await readTask(attached)
  const told = await readTask(session)

  expect(story.filter(({ type }) => type !== 'stream_chunk' && type !== 'subscribed')).toEqual(
    told.filter(({ type }) => type !== 'stream_chunk'),
  )
  expect(attached.position).toEqual(session.position)
})

test('the same idempotency key gives the same session', async () => {
  const { url, rows } = await startEdge()
  const first = await open({ url })
  const second = await open({ url })
  const request = { task: 'wait', idempotencyKey: 'once' }

  const [one, two] = await Promise.all([first.spawn(request), second.spawn(request)])

  expect(two.id).toBe(one.id)
  expect(rows.rows.size).toBe(1)
  await expect(first.spawn({ task: 'other', idempotencyKey: 'once' })).rejects.toMatchObject({
    code: 'idempotency_conflict',
  })
})

test('a token function is asked before each connection', async () => {
  const { url } = await startEdge({ auth: AUTH })

  const client = await open({ url, token: () => token() })

  expect(await client.ping()).toBeGreaterThan(0)
})

test('a refused credential ends the first connection at once, with the reason and without the key', async () => {
  const { url } = await startEdge({ auth: AUTH })
  const attempts: string[] = []
  const counting = socketClass((address) => attempts.push(address))

  const refusals = [
    connect({ url, webSocket: counting }),
    connect({ url, webSocket: counting, token: 'wrong' }),
    connect({ url, webSocket: counting, token: () => token({ exp: 1 }) }),
    connect({ url: `${url}/?apiKey=not-a-key-of-ours`, webSocket: counting }),
  ].map((attempt) => attempt.catch((error: unknown) => error))
  const errors = await Promise.all(refusals)

  expect(errors.map((error) => error instanceof ClientError && error.code)).toEqual([
    'credentials_missing',
    'jwt_malformed',
    'jwt_expired',
    'api_key_invalid',
  ])
  expect(errors[3]).toMatchObject({ message: expect.stringContaining(`${url}/ refused the credential`) })
  expect(attempts).toHaveLength(4)
})

test('a credential that is refused when the connection comes back ends what waits, with the reason', async () => {
  const { url } = await startEdge({ auth: AUTH })
  const sockets: WebSocket[] = []
  const tokens = [await token(), 'wrong']
  const client = await open({
    url,
    token: () => tokens.shift(),
    webSocket: socketClass((_address, socket) => sockets.push(socket)),
  })
  const session = await client.spawn({ task: 'wait' })
  const result = session.result()

  sockets[0]?.terminate()

  await expect(result).rejects.toMatchObject({ name: 'ClientError', code: 'jwt_malformed' })
  expect(sockets).toHaveLength(2)
})

test('a client that finds no room waits for it, because room may come', async () => {
  const limits = { ...WIDE_LIMITS, connections: { perPrincipal: 1, perEdge: 10 } }
  const { url } = await startEdge({ auth: AUTH, settings: { limits } })
  const first = await open({ url, token: () => token() })
  let attempts = 0
  const counting = socketClass(() => {
    attempts += 1
  })

  const second = open({ url, token: () => token(), webSocket: counting })
  await expect.poll(() => attempts).toBeGreaterThan(1)
  first.close()

  expect(await (await second).ping()).toBeGreaterThan(0)
})

test('a WebSocket that does not tell refusals, as in browsers, is tried until time is up', async () => {
  const { url } = await startEdge({ auth: AUTH })
  let attempts = 0
  class Silent {
    readonly #socket: WebSocket
    constructor(address: string) {
      this.#socket = new WebSocket(address)
      attempts += 1
    }
    get readyState(): number {
      return this.#socket.readyState
    }
    send(data: string): void {
      this.#socket.send(data)
    }
    close(code?: number): void {
      this.#socket.close(code)
    }
    addEventListener(type: string, listener: (event: never) => void): void {
      this.#socket.addEventListener(type as 'close', listener as () => void)
    }
  }

  await expect(connect({ url, webSocket: Silent, token: 'wrong', connectTimeoutMs: 3_000 })).rejects.toMatchObject({
    code: 'connection_failed',
  })
  expect(attempts).toBeGreaterThan(1)
})

test('connections cut at random bytes lose nothing, repeat nothing and run nothing twice', async () => {
  const { edge, worker } = await startEdge()
  const random = seededRandom('cut connections')
  const proxy = new CuttingProxy(edge.port, random, 6_000)
  const url = await proxy.start()
  const client = await open({ url })
  const words = Array.from({ length: 120 }, (_, index) => `w${index}-äöü€`).join(' ')
  const messages: ServerMessage[] = []

  const session = await client.spawn({ task: 'wait' })
  const reading = (async () => {
    for await (const message of session) messages.push(message)
  })()
  const ends = []
  for (let round = 0; round < 8; round++) ends.push(await session.execute(`stream ${round} ${words}`))
  proxy.cutting = false
  await session.stop()
  await reading
  await proxy.stop()

  expect(proxy.cuts, 'the proxy did cut').toBeGreaterThan(5)
  expect(ends.map(({ type }) => type)).toEqual(ends.map(() => 'task_completed'))
  const seqs = messages.flatMap((it) =>
    'eventId' in it && it.type !== 'subscribed' ? [Number(it.eventId.split('-')[1])] : [],
  )
  expect(seqs).toEqual(seqs.map((_, index) => index + 1))
  expect(new Set(worker.accepted).size).toBe(worker.accepted.length)
  expect(worker.accepted.length).toBe(1 + 8 + 1)
  expectContiguous(messages, words)
}, 60_000)

/** Every message's chunks join to its whole text. */
function expectContiguous(messages: readonly ServerMessage[], words: string): void {
  const texts = new Map<string, string>()
  for (const message of messages) {
    if (message.type === 'stream_chunk') {
      const { messageId, offset, chunk } = message.data
      const before = texts.get(messageId) ?? ''
      expect(offset).toBe(Buffer.byteLength(before))
      texts.set(messageId, before + chunk)
    }
    if (message.type === 'stream_end') expect(texts.get(message.messageId)).toBe(message.text)
  }
  expect([...texts.values()]).toEqual(Array.from({ length: 8 }, (_, round) => `${round} ${words}`))
}
