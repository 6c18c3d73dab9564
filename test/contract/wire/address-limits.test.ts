/**
 * What may come from one address, whoever sends it: connections, messages, requests, and attempts to come in.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { io } from 'socket.io-client'
import { expect, onTestFinished, test, vi } from 'vitest'
import { Allowances } from '../../../src/edge/allowances.js'
import { RateLimit } from '../../../src/edge/rate-limit.js'
import type { EdgeSettings, LimitSettings } from '../../../src/edge/settings.js'
import { AUTH, type Fixture, startEdge, token, WIDE_LIMITS } from './edge-fixture.js'

const PATIENCE = { timeout: 10_000, interval: 20 } as const
const limits = (perAddress: LimitSettings['perAddress']): LimitSettings => ({ ...WIDE_LIMITS, perAddress })
const messages = (max: number) => limits({ messages: { max, windowMs: 60_000 } })
const PROXIED: Partial<EdgeSettings> = { proxies: { trusted: ['127.0.0.1'], proxyProtocol: true } }
const from = (address: string) => ({ 'x-forwarded-for': address })

const locked = (settings: Partial<EdgeSettings>): Promise<Fixture> => startEdge({ auth: AUTH, settings })

/** The status of a request, or of an upgrade that is written by hand. */
async function status({ edge }: Fixture, head: readonly string[], before: Uint8Array = new Uint8Array()) {
  const socket: Socket = connect(edge.port, '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  socket.write(before)
  socket.write(`${head.join('\r\n')}\r\n\r\n`)
  const [data] = (await once(socket, 'data')) as [Buffer]
  return Number(String(data).split(' ')[1])
}

const whoAmI = (credential: string, ...headers: string[]) => [
  ...['GET /api/whoami HTTP/1.1', 'host: x', `authorization: Bearer ${credential}`],
  ...headers,
]
const upgrade = (credential: string, ...headers: string[]) => [
  ...['GET / HTTP/1.1', 'host: x', 'connection: upgrade', 'upgrade: websocket', 'sec-websocket-version: 13'],
  ...['sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==', `authorization: Bearer ${credential}`],
  ...headers,
]

/** Version 2 of the PROXY protocol, for TCP over IPv4. */
const proxied = (address: string): Uint8Array =>
  Buffer.concat([
    Buffer.from('0d0a0d0a000d0a515549540a2111000c', 'hex'),
    Buffer.from([...address.split('.').map(Number), 127, 0, 0, 1, 0x12, 0x67, 0, 80]),
  ])

test('one address has so many connections, of whichever clients, and another address its own', async () => {
  const house = await locked({ ...PROXIED, limits: limits({ connections: 2 }) })
  const people = await Promise.all(['alice', 'bob', 'carol'].map((sub) => token({ sub })))
  const [alice = '', bob = '', carol = ''] = people
  const first = await house.client({ token: alice, headers: from('203.0.113.9') })
  await house.client({ token: bob, headers: from('203.0.113.9') })

  expect(await status(house, upgrade(carol, 'x-forwarded-for: 203.0.113.9'))).toBe(429)
  expect(await status(house, upgrade(carol, 'x-forwarded-for: 203.0.113.10'))).toBe(101)
  await first.close()
  await vi.waitFor(
    async () => expect(await status(house, upgrade(carol, 'x-forwarded-for: 203.0.113.9'))).toBe(101),
    PATIENCE,
  )
})

test('a header that a client has sent itself is not believed, neither from a stranger nor through a proxy', async () => {
  const stranger = await locked({ limits: limits({ connections: 1 }) })
  await stranger.client({ token: await token(), headers: from('203.0.113.1') })
  const proxy = await locked({ ...PROXIED, limits: limits({ connections: 1 }) })
  await proxy.client({ token: await token(), headers: from('203.0.113.9') })

  expect(await status(stranger, upgrade(await token(), 'x-forwarded-for: 203.0.113.2'))).toBe(429)
  const appended = upgrade(await token(), 'x-forwarded-for: 198.51.100.7, 203.0.113.9')
  const separate = upgrade(await token(), 'x-forwarded-for: 198.51.100.7', 'X-Forwarded-For: 203.0.113.9')
  expect([await status(proxy, appended), await status(proxy, separate)]).toEqual([429, 429])
})

test('whom the PROXY protocol names is counted', async () => {
  const house = await locked({ ...PROXIED, limits: limits({ connections: 1 }) })

  expect(await status(house, upgrade(await token()), proxied('203.0.113.9'))).toBe(101)
  expect(await status(house, upgrade(await token()), proxied('203.0.113.9'))).toBe(429)
  expect(await status(house, upgrade(await token()), proxied('203.0.113.10'))).toBe(101)
  const untrusting = await locked({ limits: limits({ connections: 1 }) })
  expect(await status(untrusting, upgrade(await token()), proxied('203.0.113.9'))).toBe(101)
  expect(await status(untrusting, upgrade(await token()), proxied('203.0.113.10'))).toBe(429)
})

test('clients of one address share its messages, and each keeps its own limit', async () => {
  const house = await locked({ ...PROXIED, limits: { ...messages(10), messages: { max: 6, windowMs: 60_000 } } })
  const open = async (sub: string, address: string) =>
    house.client({ token: await token({ sub }), headers: from(address) })
  const [alice, bob, carol] = [
    await open('alice', '203.0.113.9'),
    await open('bob', '203.0.113.9'),
    await open('carol', '203.0.113.10'),
  ]
  const pongs = async (raw: typeof alice, count: number) => {
    const answers = []
    for (let each = 0; each < count; each++) answers.push(await raw.ask({ type: 'ping' }))
    return answers.filter(({ type }) => type === 'pong').length
  }

  expect(await pongs(alice, 8), 'her own limit; two upgrades counted before').toBe(6)
  expect(await pongs(bob, 8), 'what the address has left of 10').toBe(0)
  expect(await pongs(carol, 8)).toBe(6)
})

test('requests over HTTP and credentials that are refused count, so that guessing ends', async () => {
  const house = await locked({ ...PROXIED, limits: messages(5) })
  const good = await token()
  const guesses = []
  for (let guess = 0; guess < 7; guess++) {
    guesses.push(await status(house, whoAmI(`a.b.${guess}`, 'x-forwarded-for: 203.0.113.9')))
  }

  expect(guesses).toEqual([401, 401, 401, 401, 401, 401, 429])
  expect(await status(house, whoAmI(good, 'x-forwarded-for: 203.0.113.9')), 'whoever asks from there').toBe(429)
  expect(await status(house, upgrade(good, 'x-forwarded-for: 203.0.113.9'))).toBe(429)
  expect(await status(house, whoAmI(good, 'x-forwarded-for: 203.0.113.10'))).toBe(200)
})

test('upgrades count, also those of a client that has room', async () => {
  const house = await locked({ ...PROXIED, limits: messages(4) })
  const knocks = []
  for (let knock = 0; knock < 6; knock++) {
    knocks.push(await status(house, upgrade(await token(), 'x-forwarded-for: 203.0.113.9')))
  }

  expect(knocks).toEqual([101, 101, 101, 101, 101, 429])
})

test.each(['websocket', 'polling'])('Socket.IO over %s counts under the same addresses', async (transport) => {
  const house = await locked({ ...PROXIED, limits: limits({ connections: 1 }) })
  const good = await token()
  const knock = async (...addresses: string[]) => {
    const socket = io(house.url, {
      ...{ forceNew: true, reconnection: false, transports: [transport], auth: { token: good } },
      extraHeaders: { 'x-forwarded-for': addresses.join(', ') },
    })
    onTestFinished(() => void socket.close())
    return new Promise<string>((resolve) => {
      socket.on('connect', () => resolve('in'))
      socket.on('connect_error', (error) => resolve(error.message))
    })
  }

  expect(await knock('203.0.113.9')).toBe('in')
  expect(await knock('198.51.100.1', '203.0.113.9')).toBe('connection_limit_exceeded')
  expect(await knock('203.0.113.10')).toBe('in')
})

test('where no secret is set, whoever sits at the machine is not counted', async () => {
  const house = await startEdge({
    settings: { limits: { ...messages(2), perAddress: { connections: 1, messages: { max: 2, windowMs: 60_000 } } } },
  })
  const [one, two] = [await house.client(), await house.client()]

  for (let each = 0; each < 5; each++) {
    expect(await one.ask({ type: 'ping' })).toMatchObject({ type: 'pong' })
    expect(await two.ask({ type: 'ping' })).toMatchObject({ type: 'pong' })
  }
})

test('what is remembered of addresses is bounded', () => {
  const settings = { max: 5, windowMs: 60_000 }
  const allowances = new Allowances(new RateLimit(settings, undefined, { info: vi.fn(), warn: vi.fn() }))

  for (let each = 0; each < 25_000; each++) allowances.charge(`@address-${each}`)

  expect(allowances.size).toBeGreaterThan(1)
  expect(allowances.size).toBeLessThanOrEqual(10_001)
})

test('connections that were there before addresses were limited stay, and count', async () => {
  const house = await locked(PROXIED)
  const good = await token()
  const knock = (address: string) => status(house, upgrade(good, `x-forwarded-for: ${address}`))
  const [first, second] = [
    await house.client({ token: good, headers: from('203.0.113.9') }),
    await house.client({ token: good, headers: from('203.0.113.9') }),
  ]

  house.edge.limitClients(limits({ connections: 2 }))

  expect([await knock('203.0.113.9'), await knock('203.0.113.10')]).toEqual([429, 101])
  expect(await second.ask({ type: 'ping' })).toMatchObject({ type: 'pong' })
  await first.close()
  await vi.waitFor(async () => expect(await knock('203.0.113.9')).toBe(101), PATIENCE)
  house.edge.limitClients(limits({ connections: 1 }))
  expect(await knock('203.0.113.10')).toBe(429)
  house.edge.limitClients(WIDE_LIMITS)
  expect([await knock('203.0.113.9'), await knock('203.0.113.10')]).toEqual([101, 101])
})

test('connections that are there are limited by address from the moment on that somebody wants it, and no longer', async () => {
  const house = await locked(PROXIED)
  const alice = await house.client({ token: await token({ sub: 'alice' }), headers: from('203.0.113.9') })
  const bob = await house.client({ token: await token({ sub: 'bob' }), headers: from('203.0.113.9') })
  const pings = async (raw: typeof alice, count: number) => {
    const types: unknown[] = []
    for (let each = 0; each < count; each++) types.push((await raw.ask({ type: 'ping' })).type)
    return types.filter((type) => type === 'pong').length
  }
  expect(await pings(alice, 20)).toBe(20)

  house.edge.limitClients(messages(5))
  expect([await pings(alice, 3), await pings(bob, 4)]).toEqual([3, 2])
  house.edge.limitClients(messages(8))
  expect(await pings(bob, 6), 'what was sent counts').toBe(3)
  house.edge.limitClients(WIDE_LIMITS)
  expect(await pings(alice, 20)).toBe(20)
})
