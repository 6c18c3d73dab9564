/**
 * What is counted of each way by which clients come: who is there, what they send and get, what they are refused, and how long
 * they wait.
 */
import { once } from 'node:events'
import { io } from 'socket.io-client'
import { expect, onTestFinished, test, vi } from 'vitest'
import WebSocket from 'ws'
import { createMetrics } from '../../../src/telemetry/metrics.js'
import { parseMetrics, valueIn } from '../../support/metrics-page.js'
import { connectV2 } from '../v2/v2-fixture.js'
import { AUTH, startEdge, token } from './edge-fixture.js'

const PATIENCE = { timeout: 10_000, interval: 10 } as const
const SPAWN = { orchestratorId: 'o', task: 'x' }

async function countedEdge(auth?: typeof AUTH) {
  const metrics = createMetrics()
  const { url, client } = await startEdge({ metrics: metrics.edge, ...(auth && { auth }) })
  const read = async (family: string, series: string): Promise<number> => {
    const page = parseMetrics((await metrics.page()).body)
    return page.get(family)?.series.has(`${family}${series}`) ? valueIn(page, family, `${family}${series}`) : 0
  }
  const by = (channel: string) => ({
    active: () => read('wundr_channel_active', `{channel_type="${channel}"}`),
    received: (type: string) =>
      read('wundr_channel_messages_received_total', `{channel="${channel}",message_type="${type}"}`),
    sent: (type: string) => read('wundr_channel_messages_sent_total', `{channel="${channel}",message_type="${type}"}`),
    errors: (type: string) => read('wundr_channel_errors_total', `{channel="${channel}",error_type="${type}"}`),
    answers: () => read('wundr_channel_message_latency_seconds', `_count{channel="${channel}"}`),
  })
  return { url, client, by, http: url.replace('ws:', 'http:') }
}

const becomes = (read: () => Promise<number>, value: number) =>
  vi.waitFor(async () => expect(await read()).toBe(value), PATIENCE)

test('wundr_channel_*: a raw WebSocket', async () => {
  const { client, by } = await countedEdge()
  const { active, received, sent, errors, answers } = by('websocket')
  const raw = await client()

  await raw.ask({ type: 'ping' })
  await raw.ask({ type: 'session_status', payload: { sessionId: 'session_000_01ARZ3NDEKTSV4RRFFQ69G5FAV' } })
  raw.send({ type: 'spawn_session', payload: SPAWN })
  await raw.type('session_spawned')

  expect(await Promise.all([active(), received('ping'), sent('pong'), errors('session_not_found')])).toEqual([
    ...[1, 1, 1, 1],
  ])
  await becomes(answers, 1)
  raw.socket.close()
  await becomes(active, 0)
})

test('Socket.IO', async () => {
  const { url, by } = await countedEdge()
  const { active, received, answers } = by('socket.io')
  const socket = io(url, { forceNew: true, transports: ['websocket'], reconnection: false })
  onTestFinished(() => void socket.close())

  socket.emit('spawn_session', SPAWN)
  await once(socket as never, 'session_spawned')

  expect([await active(), await received('spawn_session'), await by('websocket').active()]).toEqual([1, 1, 0])
  await becomes(answers, 1)
  socket.close()
  await becomes(active, 0)
})

test('the second protocol, at its own path and where a client begins it at another', async () => {
  const { url, by } = await countedEdge()
  const { active, received, errors, answers } = by('v2')
  const own = await connectV2(`${url}/v2`)
  const begun = await connectV2(url)

  await begun.refusal('dance')
  await own.ask('session.create', { sessionType: 'echo', task: { description: 'wait' } })

  expect(await Promise.all([active(), by('websocket').active()])).toEqual([2, 0])
  expect(await received('req')).toBe(4)
  expect(await by('v2').sent('res')).toBe(4)
  expect(await errors('unknown_method')).toBe(1)
  await becomes(answers, 1)
  await own.close()
  await begun.close()
  await becomes(active, 0)
})

test('the feed', async () => {
  const { url, by } = await countedEdge()
  const { active, received, sent, errors } = by('feed')
  const socket = new WebSocket(`${url}/daemon/ws`)
  onTestFinished(() => socket.terminate())
  const frames: string[] = []
  socket.on('message', (data) => frames.push(String(data)))
  await once(socket, 'open')
  const say = (type: string, payload: object) =>
    socket.send(JSON.stringify({ type, id: crypto.randomUUID(), timestamp: new Date().toISOString(), payload }))

  say('auth', { accessToken: 'any', daemonId: 'daemon_1' })
  socket.send('{}')
  await vi.waitFor(() => expect(frames.join()).toContain('INVALID'), PATIENCE)

  expect(await Promise.all([active(), by('websocket').active()])).toEqual([1, 0])
  expect(await received('req')).toBe(1)
  expect(await received('unknown')).toBe(1)
  expect(await sent('error')).toBe(1)
  expect(await errors('invalid_payload')).toBe(1)
})

test('requests over HTTP, and a stream of events', async () => {
  const { client, http, by } = await countedEdge()
  const { received, sent, errors, answers } = by('rest')
  const raw = await client()
  raw.send({ type: 'spawn_session', payload: SPAWN })
  const { sessionId } = await raw.type('session_spawned')

  await (await fetch(`${http}/api/sessions`)).text()
  await (await fetch(`${http}/api/sessions/session_000_01ARZ3NDEKTSV4RRFFQ69G5FAV`)).text()
  const stream = new AbortController()
  await fetch(`${http}/api/sessions/${sessionId}/stream`, { signal: stream.signal })

  expect(await received('GET /api/sessions')).toBe(1)
  expect(await Promise.all([sent('200'), sent('404'), errors('http_404'), answers()])).toEqual([1, 1, 1, 2])
  expect(await by('events').active()).toBe(1)
  expect(await by('rest').active()).toBe(0)
  stream.abort()
  await becomes(by('events').active, 0)
})

test('whoever is refused at the door is an error of the channel by which they came', async () => {
  const { url, http, client, by } = await countedEdge(AUTH)
  const bad = new WebSocket(`${url}/?token=nonsense`)
  await once(bad, 'error')
  await (await fetch(`${http}/api/sessions`, { headers: { authorization: 'Bearer nonsense' } })).text()
  await client({ token: await token() })

  expect(await by('websocket').errors('jwt_malformed')).toBe(1)
  expect(await by('rest').errors('http_401')).toBe(1)
})
