/**
 * The Socket.IO door with the real client (contract S-01 to S-03): the same verbs by name, whole messages by type, by
 * WebSocket and by polling, and a resume at another edge.
 */
import { SignJWT } from 'jose'
import { io, type ManagerOptions, type Socket, type SocketOptions } from 'socket.io-client'
import { expect, onTestFinished, test, vi } from 'vitest'
import WebSocket from 'ws'
import { AUTH, type Fixture, type Frame, SECRET, startCluster, startEdge, token } from './edge-fixture.js'

const ARRIVAL = { timeout: 20_000, interval: 5 } as const
const TASK = { id: 'task-1', type: 'code', description: 'Implement it', priority: 'high', status: 'pending' }

interface Client {
  readonly socket: Socket
  /** What was told, by type, in the order of arrival. */
  readonly told: Frame[]
  type(type: string): Promise<Frame>
}

function connect(url: string, options: Partial<ManagerOptions & SocketOptions> = {}): Client {
  const socket = io(url, { forceNew: true, transports: ['websocket'], reconnection: false, ...options })
  onTestFinished(() => void socket.close())
  const told: Frame[] = []
  socket.onAny((type: string, message: Frame) => told.push({ event: type, ...message }))
  return {
    socket,
    told,
    type: (type) => vi.waitUntil(() => told.find((it) => it.event === type), ARRIVAL),
  }
}

const locked = (): Promise<Fixture> => startEdge({ auth: AUTH })

test.each(['websocket', 'polling'])(
  'S-01: verbs go by their name and messages come whole by their type, over %s',
  async (transport) => {
    const { url, worker } = await startEdge()
    const client = connect(url, { transports: [transport] })

    client.socket.emit('spawn_session', { orchestratorId: 'neolith-orchestrator', task: TASK })
    const spawned = await client.type('session_spawned')
    const sessionId = String(spawned.sessionId)
    await worker.append(sessionId, [{ type: 'stream_start', messageId: 'msg_1', metadata: { model: 'm' } }])
    await worker.flush(sessionId, 'msg_1', 0, 'hello')

    const chunk = await client.type('stream_chunk')
    expect(chunk).toMatchObject({ type: 'stream_chunk', data: { sessionId, chunk: 'hello' } })
    expect(spawned).toMatchObject({
      type: 'session_spawned',
      status: 'active',
      session: { orchestratorId: 'neolith-orchestrator' },
    })
  },
)

test('S-02: it stands at /socket.io/ beside the raw WebSocket and the 404 of everything else', async () => {
  const { url, client } = await startEdge()
  const http = url.replace('ws:', 'http:')

  const raw = await client()
  raw.send({ type: 'ping' })
  await raw.type('pong')
  const hand = await fetch(`${http}/socket.io/?EIO=4&transport=polling`)

  expect(hand.status).toBe(200)
  expect(await hand.text()).toContain('"sid"')
  expect((await fetch(`${http}/elsewhere`)).status).toBe(404)
})

test('S-03: a token that Neolith signs lets its orchestrator in, and no token of another shape does', async () => {
  const { url } = await locked()
  const sign = (payload: Record<string, unknown>) => {
    const iat = Math.floor(Date.now() / 1000)
    const signed = new SignJWT({ iat, exp: iat + 3_600, ...payload }).setProtectedHeader({ alg: 'HS256' })
    return signed.sign(new TextEncoder().encode(SECRET))
  }
  const access = { orchestratorId: 'orch-1', daemonId: 'd', scopes: ['messages:read'], type: 'access' }

  const client = connect(url, { auth: { token: await sign(access) } })
  client.socket.emit('spawn_session', { task: TASK })
  expect(await client.type('session_spawned')).toMatchObject({ status: 'active' })

  for (const payload of [
    { ...access, type: 'refresh' },
    { ...access, orchestratorId: 7 },
    { ...access, daemonId: undefined },
  ]) {
    const refused = connect(url, { auth: { token: await sign(payload) } })
    const error = await new Promise<Error & { data?: unknown }>((resolve) =>
      refused.socket.on('connect_error', resolve),
    )
    expect(error.data).toEqual({ code: 'jwt_payload_schema_invalid', status: 401 })
  }
})

test('an acknowledgement carries the answer, and the error of a message that cannot be carried out', async () => {
  const { url } = await locked()
  const { socket, told } = connect(url, { extraHeaders: { authorization: `Bearer ${await token()}` } })

  expect(await socket.emitWithAck('ping')).toEqual({ type: 'pong' })
  const unknown = await socket.emitWithAck('dance', {})
  const wrong = await socket.emitWithAck('session_status', { sessionId: 7 })
  const command = await socket.emitWithAck('spawn_session', { task: TASK }, { commandId: 'c-1' })

  expect(unknown).toMatchObject({ type: 'error', code: 'unknown_type' })
  expect(wrong).toMatchObject({ type: 'error', code: 'invalid_payload' })
  expect(command).toMatchObject({ type: 'command_accepted', commandId: 'c-1' })
  expect(told.filter(({ type }) => type === 'error')).toEqual([])
})

test("an acknowledgement is not taken by what another client's request brings about in the same session", async () => {
  const { url, worker } = await startEdge()
  const [first, second] = [connect(url), connect(url)]
  const { sessionId } = await first.socket.emitWithAck('spawn_session', { task: TASK })
  await second.socket.emitWithAck('subscribe', { sessionId })
  worker.paused = true
  const started = first.socket.emitWithAck('execute_task', { sessionId, task: { ...TASK, id: 't-2' } })
  const status = second.socket.emitWithAck('execute_task', { sessionId, task: { ...TASK, id: 't-3' } })
  worker.paused = false

  expect(await started).toMatchObject({ type: 'task_executing', taskId: 't-2' })
  expect(await status).toMatchObject({ type: 'task_executing', taskId: 't-3' })
})

test('a wrong credential is refused with its code, a client whose right ends is told and sent away', async () => {
  const { url } = await locked()
  const refused = connect(url, { auth: { token: 'no-token' } })
  const error = await new Promise<Error & { data?: unknown }>((resolve) => refused.socket.on('connect_error', resolve))
  expect(error.data).toEqual({ code: 'jwt_malformed', status: 401 })

  const exp = Math.floor(Date.now() / 1000) + 5
  const client = connect(url, { auth: { token: await token({ exp }) } })
  const gone = new Promise<string>((resolve) => client.socket.on('disconnect', resolve))
  expect(await client.type('error')).toMatchObject({ code: 'token_expired' })
  expect(await gone).toBe('io server disconnect')
})

test('a client that comes back, to another edge, is told what it missed, in order and once', async () => {
  const cluster = await startCluster()
  const [here, there] = [await startEdge({ cluster, auth: AUTH }), await startEdge({ cluster, auth: AUTH })]
  const auth = { token: await token() }
  const first = connect(here.url, { auth })
  first.socket.emit('spawn_session', { task: TASK })
  const { sessionId, eventId } = await first.type('session_spawned')
  first.socket.close()
  const note = { type: 'session_status_update' } as never
  await cluster.worker.append(String(sessionId), [note, note])

  const second = connect(there.url, { auth })
  second.socket.emit('subscribe', { sessionId, from: { eventId } })
  await second.type('subscribed')
  await cluster.worker.append(String(sessionId), [note])
  await vi.waitUntil(() => second.told.filter((it) => it.eventId !== undefined).length >= 4, ARRIVAL)

  const seqs = second.told.filter(({ type }) => type === 'session_status_update').map((it) => it.eventId)
  expect(new Set(seqs).size).toBe(seqs.length)
  expect(seqs).toEqual([...seqs].sort())
})

test('an edge that drains breaks the connection, so that the client comes back by itself', async () => {
  const { url, edge } = await startEdge()
  const { socket, type } = connect(url)
  await vi.waitUntil(() => socket.connected, ARRIVAL)
  const gone = new Promise<string>((resolve) => socket.on('disconnect', resolve))

  await edge.drain()

  expect(await gone).toBe('transport close')
  expect(await type('error')).toMatchObject({ code: 'shutting_down' })
})

test('polls that are given up midway do no harm', async () => {
  const { url, client } = await startEdge()
  const http = `${url.replace('ws:', 'http:')}/socket.io/?EIO=4&transport=polling`
  for (let round = 0; round < 50; round++) {
    const hand = await (await fetch(http)).text()
    const sid = (JSON.parse(hand.slice(1)) as { sid: string }).sid
    const aborted = new AbortController()
    const poll = fetch(`${http}&sid=${sid}`, { signal: aborted.signal }).catch(() => undefined)
    const post = fetch(`${http}&sid=${sid}`, { method: 'POST', body: '40', signal: aborted.signal }).catch(
      () => undefined,
    )
    aborted.abort()
    await Promise.all([poll, post])
  }

  const raw = await client()
  raw.send({ type: 'ping' })
  await raw.type('pong')
})

test.each(['websocket', 'polling'])('pages of other origins connect where they may, over %s', async (transport) => {
  const { url } = await startEdge({ auth: AUTH, settings: { corsOrigins: ['http://localhost:3000'] } })
  const client = connect(url, { transports: [transport], auth: { token: await token() } })

  const answer = await client.socket.emitWithAck('ping', {})

  expect(answer).toEqual({ type: 'pong' })
})

test('what nests too deep to be written down is refused, and the edge serves on', async () => {
  const { url } = await startEdge()
  const deep = `${'['.repeat(6_000)}${']'.repeat(6_000)}`
  const raw = new WebSocket(`${url}/socket.io/?EIO=4&transport=websocket`)
  onTestFinished(() => raw.terminate())
  const heard: string[] = []
  raw.on('message', (data) => heard.push(String(data)))
  const hears = (what: string) => vi.waitUntil(() => heard.some((text) => text.startsWith(what)), ARRIVAL)
  await hears('0{')
  raw.send('40')
  await hears('40{')

  raw.send(`42["session_status",${deep}]`)
  raw.send(`427["session_status",${deep}]`)
  raw.send(`428["session_status",{},{"auth":${deep}}]`)

  await hears('42["error",')
  await hears('437[')
  await hears('438[')
  expect(heard.find((text) => text.startsWith('437['))).toContain('"code":"invalid_message"')
  expect((await fetch(`${url.replace('ws:', 'http:')}/health`)).status).toBe(200)
})

test('whoever waits for the acknowledgement of a message that is too large is told', async () => {
  const { url } = await startEdge({ settings: { maxPayloadBytes: 1_000 } })
  const client = connect(url)

  const answer = await client.socket.emitWithAck('session_status', { sessionId: 'x'.repeat(2_000) })

  expect(answer).toMatchObject({ type: 'error', code: 'message_too_large' })
})
