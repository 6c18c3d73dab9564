/**
 * Row V2: what a client hears when it is wrong, asks too much, or is not allowed; and that the connection goes on.
 */
import { expect, test } from 'vitest'
import { METHOD_NAMES, METHODS } from '../../../src/protocol/v2/methods.js'
import { AUTH, startEdge, token, WIDE_LIMITS } from '../wire/edge-fixture.js'
import { connectParams, connectV2, type V2Client } from './v2-fixture.js'

const UNKNOWN = 'session_000_01ARZ3NDEKTSV4RRFFQ69G5FAV'
const SPAWN = { sessionType: 'echo', task: { description: 'wait' } }

const MISTAKES: readonly [name: string, frame: string | object, code: string, id: string][] = [
  ['bad JSON', '{"type":"req"', 'INVALID_REQUEST', 'invalid'],
  ['null', 'null', 'INVALID_REQUEST', 'invalid'],
  ['a list', '[]', 'INVALID_REQUEST', 'invalid'],
  ['a frame without a method', { type: 'req', id: '7' }, 'INVALID_REQUEST', '7'],
  ['a frame without an id', { type: 'req', method: 'health.ping' }, 'INVALID_REQUEST', 'invalid'],
  ['an answer', { type: 'res', id: '7', ok: true }, 'INVALID_REQUEST', '7'],
  ['an event', { type: 'event', event: 'stream.start' }, 'INVALID_REQUEST', 'invalid'],
  ['an unknown method', { type: 'req', id: '7', method: 'dance.now' }, 'INVALID_REQUEST', '7'],
  ['a method of every object', { type: 'req', id: '7', method: 'constructor' }, 'INVALID_REQUEST', '7'],
  ['missing parameters', { type: 'req', id: '7', method: 'session.status' }, 'INVALID_REQUEST', '7'],
  [
    'wrong parameters',
    { type: 'req', id: '7', method: 'session.status', params: { sessionId: 7 } },
    'INVALID_REQUEST',
    '7',
  ],
  [
    'parameters that are no object',
    { type: 'req', id: '7', method: 'session.list', params: 7 },
    'INVALID_REQUEST',
    '7',
  ],
  ['a session that is not there', request('session.status', { sessionId: UNKNOWN }), 'NOT_FOUND', '7'],
  ['a session of another system', request('prompt.submit', { sessionId: 'abc', prompt: 'x' }), 'NOT_FOUND', '7'],
  [
    'a parent that is not there',
    request('agent.spawn', { agentType: 'a', parentSessionId: UNKNOWN, task: SPAWN.task }),
    'NOT_FOUND',
    '7',
  ],
  [
    'a subscription to a session that is not there',
    request('subscribe', { events: ['*'], filter: { sessionId: UNKNOWN } }),
    'NOT_FOUND',
    '7',
  ],
  [
    'a place without its session',
    request('subscribe', { events: ['*'], from: { eventId: '1-1' } }),
    'INVALID_REQUEST',
    '7',
  ],
  ['too far an offset', request('session.list', { offset: 1_000_000 }), 'INVALID_REQUEST', '7'],
]

function request(method: string, params: object) {
  return { type: 'req', id: '7', method, params }
}

test.each(MISTAKES)('%s is answered with a code, and the connection is kept', async (_name, frame, code, id) => {
  const { url } = await startEdge()
  const client = await connectV2(url)

  client.send(frame)

  const res = await client.next(({ type, ok }) => type === 'res' && ok === false)
  expect(res).toMatchObject({
    id,
    error: { code, message: expect.any(String), retryable: false, details: { code: expect.any(String) } },
  })
  expect(await client.ask('health.ping')).toMatchObject({ serverTimestamp: expect.any(Number) })
  expect(client.frames.filter(({ type }) => type === 'res')).toHaveLength(3)
})

test('a frame that is too large is said to be so, and counted', async () => {
  const { url } = await startEdge({ settings: { maxPayloadBytes: 1_024 } })
  const client = await connectV2(url)

  client.send({ type: 'req', id: '7', method: 'health.ping', params: { fill: 'x'.repeat(2_000) } })

  expect(await client.event('error')).toMatchObject({ code: 'INVALID_REQUEST', details: { code: 'message_too_large' } })
  expect(await client.ask('health.ping')).toMatchObject({ serverTimestamp: expect.any(Number) })
})

test('without the scope of a method it is forbidden, whatever the credential allows', async () => {
  const { url } = await startEdge()
  const client = await connectV2(url, connectParams('x', { scopes: ['daemon.approve'] }))
  const open = ['health.ping', 'rpc.discover', 'rpc.describe', 'auth.refresh', 'auth.logout', 'auth.connect']
  const closed = METHOD_NAMES.filter((name) => !open.includes(name) && METHODS[name].scope !== 'daemon.approve')

  for (const method of closed) expect(await client.refusal(method), method).toMatchObject({ code: 'FORBIDDEN' })
  expect(closed.length).toBeGreaterThan(20)
  expect(await client.ask('rpc.discover')).toMatchObject({ protocolVersion: 2 })
})

test('a role that only looks cannot touch, and a scope of the credential narrows what its role may', async () => {
  const { url } = await startEdge({ auth: AUTH })
  const by = async (claims: Record<string, unknown>) => connectV2(`${url}/v2`, connectParams(await token(claims)))
  const [readonly, narrow] = [await by({ claims: { role: 'readonly' } }), await by({ scopes: ['sessions:read'] })]

  for (const client of [readonly, narrow]) {
    for (const [method, params] of [
      ['session.create', SPAWN],
      ['prompt.submit', { sessionId: UNKNOWN, prompt: 'x' }],
      ['tool.approve', { sessionId: UNKNOWN, requestId: 'x' }],
      ['memory.store', { content: 'x', tier: 'semantic' }],
      ['memory.delete', { memoryId: 'x' }],
      ['team.create', { name: 'a', agents: [{ agentType: 'a', role: 'b' }], task: { description: 'x' } }],
    ] as const) {
      expect(await client.refusal(method, params), method).toMatchObject({ code: 'FORBIDDEN' })
    }
    expect(await client.ask('session.list')).toMatchObject({ sessions: [] })
  }
  expect(await narrow.refusal('health.status')).toMatchObject({ code: 'FORBIDDEN' })
})

test('what is refused for a scope that the answer needs has not happened', async () => {
  const { url, rows } = await startEdge({ auth: AUTH })
  const client = await connectV2(`${url}/v2`, connectParams(await token({ scopes: ['sessions:write'] })))

  expect(await client.refusal('session.create', SPAWN)).toMatchObject({ code: 'FORBIDDEN' })

  expect(rows.rows.size).toBe(0)
})

test('nothing of another tenant is there, and of one’s own tenant a user has its own sessions', async () => {
  const { url } = await startEdge({ auth: AUTH })
  const by = async (sub: string, tenant: string, role = 'user') =>
    connectV2(`${url}/v2`, connectParams(await token({ sub, claims: { tenant, role } })))
  const [owner, colleague, admin, stranger] = [
    await by('alice', 'acme'),
    await by('bob', 'acme'),
    await by('root', 'acme', 'admin'),
    await by('alice', 'evil', 'admin'),
  ]
  const { agentId: sessionId } = await owner.ask('agent.spawn', { agentType: 'a', task: { description: 'wait' } })
  await owner.event('session.created')
  const attempts = (id: string) =>
    [
      ['session.status', { sessionId: id }],
      ['session.resume', { sessionId: id }],
      ['session.stop', { sessionId: id }],
      ['prompt.submit', { sessionId: id, prompt: 'x' }],
      ['prompt.cancel', { sessionId: id }],
      ['tool.approve', { sessionId: id, requestId: 'x' }],
      ['tool.deny', { sessionId: id, requestId: 'x' }],
      ['agent.status', { agentId: id }],
      ['agent.stop', { agentId: id }],
      ['agent.spawn', { agentType: 'a', parentSessionId: id, task: { description: 'x' } }],
      ['team.status', { teamId: id }],
      ['team.message', { teamId: id, from: 'a', content: 'b' }],
      ['team.dissolve', { teamId: id }],
      ['memory.store', { content: 'x', tier: 'episodic', sessionId: id }],
      ['subscribe', { events: ['*'], filter: { sessionId: id } }],
      ['subscribe', { events: ['*'], filter: { teamId: id } }],
    ] as const

  for (const client of [stranger, colleague]) {
    for (const [method, params] of attempts(sessionId)) {
      expect(await client.refusal(method, params), method).toMatchObject({ code: 'NOT_FOUND' })
    }
    await client.ask('subscribe', { events: ['**'] })
    expect(await client.ask('session.list')).toMatchObject({ sessions: [], total: 0 })
  }
  await owner.ask('prompt.submit', { sessionId, prompt: 'secret' })
  await owner.event('stream.end')

  expect([...stranger.names(), ...colleague.names()]).toEqual([])
  expect(await admin.ask('session.status', { sessionId })).toMatchObject({ id: sessionId })
})

test('requests count against the allowance of the principal, which is the same in both protocols', async () => {
  const limits = { ...WIDE_LIMITS, messages: { max: 4, windowMs: 60_000 } }
  const { url, client: raw } = await startEdge({ auth: AUTH, settings: { limits } })
  const bearer = await token()
  const first = await raw({ token: bearer })
  await first.ask({ type: 'ping' })
  await first.ask({ type: 'ping' })
  const client = await connectV2(`${url}/v2`, connectParams(bearer))

  const answers = await Promise.all([1, 2, 3].map(() => client.request('health.ping')))

  // The handshake was a guest's, and counted for nobody.
  expect(answers.map(({ ok }) => ok)).toEqual([true, true, false])
  expect(answers[2]?.error).toMatchObject({ code: 'RATE_LIMITED', retryable: true, retryAfterMs: expect.any(Number) })
})

test('requests weigh what they cost: a burst of prompts is slowed down sooner than one of pings', async () => {
  const { url } = await startEdge({ auth: AUTH })
  const by = async () => connectV2(`${url}/v2`, connectParams(await token()))
  const burst = async (client: V2Client, method: string, count: number) => {
    const answers = await Promise.all(
      Array.from({ length: count }, () => client.request(method, { sessionId: UNKNOWN, prompt: 'x' })),
    )
    return answers.filter(({ error }) => error?.code === 'RATE_LIMITED')
  }

  expect(await burst(await by(), 'health.ping', 60)).toHaveLength(0)
  const slowed = await burst(await by(), 'prompt.submit', 60)

  // 100 points hold 20 prompts; some points come back meanwhile.
  expect(slowed.length).toBeGreaterThan(0)
  expect(slowed.length).toBeLessThanOrEqual(40)
  expect(slowed[0]?.error).toMatchObject({ retryAfterMs: expect.any(Number), details: { code: 'rate_limit_exceeded' } })
})

test('one connection has a bounded number of subscriptions', async () => {
  const { url } = await startEdge()
  const client = await connectV2(url)
  const answers = await Promise.all(
    Array.from({ length: 65 }, () => client.request('subscribe', { events: ['stream.*'] })),
  )

  expect(answers.filter(({ ok }) => ok)).toHaveLength(64)
  expect(answers.at(-1)?.error).toMatchObject({ code: 'UNAVAILABLE' })
})

test('answers leave in the order of the requests', async () => {
  const { url } = await startEdge()
  const client = await connectV2(url)
  for (let at = 0; at < 30; at++) {
    client.send({ type: 'req', id: `n-${at}`, method: at % 3 === 0 ? 'session.list' : 'health.ping' })
  }
  await client.next(({ id }) => id === 'n-29')

  const ids = client.frames.flatMap(({ id }) => (String(id).startsWith('n-') ? [id] : []))
  expect(ids).toEqual(Array.from({ length: 30 }, (_, at) => `n-${at}`))
})

test('a bug of ours is answered without its details', async () => {
  const { url, rows } = await startEdge()
  const client = await connectV2(url)
  rows.countByTenant = () => Promise.reject(new Error('password=hunter2'))

  const error = await client.refusal('session.list')

  expect(error).toMatchObject({ code: 'INTERNAL', retryable: true })
  expect(JSON.stringify(error)).not.toContain('hunter2')
})

test('a client of an edge that drains hears why, and when to come back', async () => {
  const { url, edge } = await startEdge()
  const client = await connectV2(url)

  await edge.drain()

  expect(await client.end()).toEqual({ code: 1012, reason: 'Server shutting down' })
  expect(client.frames.at(-1)).toMatchObject({
    ...{ type: 'event', event: 'error' },
    payload: { code: 'UNAVAILABLE', retryable: true, retryAfterMs: expect.any(Number) },
  })
})
