/**
 * The limits of one edge: messages, connections of a client, connections of all.
 */
import { expect, test } from 'vitest'
import WebSocket from 'ws'
import { AUTH, type RawClient, startEdge, token, WIDE_LIMITS } from './edge-fixture.js'

/** The answer to an upgrade. */
async function knock(url: string, value?: string): Promise<{ status: number; body: string }> {
  const socket = new WebSocket(url, { headers: value === undefined ? {} : { authorization: `Bearer ${value}` } })
  return new Promise((resolve) => {
    socket.on('error', () => undefined)
    socket.on('open', () => {
      socket.terminate()
      resolve({ status: 101, body: '' })
    })
    socket.on('unexpected-response', (_request, response) => {
      response.on('data', (data: Buffer) => resolve({ status: response.statusCode ?? 0, body: String(data) }))
    })
  })
}

const DEFAULTS = {
  messages: { max: 100, windowMs: 60_000 },
  connections: { perPrincipal: 10, perEdge: 1_000 },
}

/** Sends pings without waiting, and counts the answers by type. */
async function flood(raw: RawClient, count: number): Promise<Record<string, number>> {
  for (let id = 0; id < count; id++) raw.send({ type: 'ping' })
  await expect.poll(() => raw.frames.length, { timeout: 10_000 }).toBe(count)
  const types: Record<string, number> = {}
  for (const { type } of raw.frames) types[String(type)] = (types[String(type)] ?? 0) + 1
  return types
}

test('A-07: of 105 pings 100 are answered and 5 refused, and the connection stays open', async () => {
  const { client } = await startEdge({ auth: AUTH, settings: { limits: DEFAULTS } })
  const raw = await client({ token: await token() })

  const answers = await flood(raw, 105)

  expect(answers).toEqual({ pong: 100, error: 5 })
  expect(raw.frames.slice(100).map(({ error }) => error)).toEqual(Array(5).fill('rate_limit_exceeded'))
  expect(raw.frames.at(-1)).toMatchObject({ retryable: true, retryAfterMs: expect.any(Number) })
  expect(raw.socket.readyState).toBe(WebSocket.OPEN)
})

test('all connections of a client share its limit, and another client has its own', async () => {
  const { client } = await startEdge({ auth: AUTH, settings: { limits: DEFAULTS } })
  const [one, two] = [await client({ token: await token() }), await client({ token: await token() })]
  const other = await client({ token: await token({ sub: 'bob' }) })

  const first = await flood(one, 60)
  const second = await flood(two, 60)

  expect([first, second]).toEqual([{ pong: 60 }, { pong: 40, error: 20 }])
  expect(await flood(other, 10)).toEqual({ pong: 10 })
})

test('coming back does not give new messages', async () => {
  const { client } = await startEdge({ auth: AUTH, settings: { limits: DEFAULTS } })
  const first = await client({ token: await token() })
  await flood(first, 100)
  await first.close()

  const again = await client({ token: await token() })

  expect(await flood(again, 3)).toEqual({ error: 3 })
})

test('a refused message has no effect', async () => {
  const limits = { ...DEFAULTS, messages: { max: 1, windowMs: 60_000 } }
  const { client, rows } = await startEdge({ auth: AUTH, settings: { limits } })
  const raw = await client({ token: await token() })
  await raw.ask({ type: 'ping' })

  const refused = await raw.ask({ type: 'spawn_session', payload: { task: 'x' } })

  expect(refused).toMatchObject({ error: 'rate_limit_exceeded' })
  expect(rows.rows.size).toBe(0)
})

test('where no secret is set, whoever sits at the machine is not limited', async () => {
  const limits = { messages: { max: 3, windowMs: 60_000 }, connections: { perPrincipal: 1, perEdge: 1_000 } }
  const { client } = await startEdge({ settings: { limits } })
  const [one, two] = [await client(), await client()]

  expect(await flood(one, 10)).toEqual({ pong: 10 })
  expect(await flood(two, 10)).toEqual({ pong: 10 })
})

test('A-08: the eleventh connection of a client is refused with 429 before the upgrade, until one of the ten has gone', async () => {
  const { client, url } = await startEdge({ auth: AUTH, settings: { limits: DEFAULTS } })
  const good = await token()
  const open: RawClient[] = []
  for (let count = 0; count < 10; count++) open.push(await client({ token: good }))

  const eleventh = await knock(url, good)
  const bob = await knock(url, await token({ sub: 'bob' }))
  await open[0]?.close()

  expect(eleventh).toEqual({ status: 429, body: '{"error":"connection_limit_exceeded"}' })
  expect(bob.status).toBe(101)
  await expect.poll(async () => (await knock(url, good)).status).toBe(101)
})

test('an edge that is full says so with 503, whoever asks', async () => {
  const limits = { ...WIDE_LIMITS, connections: { perPrincipal: 10, perEdge: 2 } }
  const { client, url } = await startEdge({ auth: AUTH, settings: { limits } })
  const first = await client({ token: await token() })
  await client({ token: await token({ sub: 'bob' }) })

  expect(await knock(url, await token({ sub: 'carol' }))).toEqual({ status: 503, body: '{"error":"edge_full"}' })
  expect((await knock(url)).status, 'before any credential is read').toBe(503)
  await first.close()
  await expect.poll(async () => (await knock(url, await token({ sub: 'carol' }))).status).toBe(101)
})
