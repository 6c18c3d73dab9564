/**
 * The client of Neolith, row by row of the contract.
 */
import { expect, test } from 'vitest'
import { NeolithError } from '../../../src/neolith/api-client.js'
import { API_KEY, API_SECRET, ORCHESTRATOR, USER } from '../../support/fake-neolith.js'
import { clientOf, signedIn, startNeolith } from './neolith-fixture.js'

test('N-01: a sign-in brings tokens, the session and who the orchestrator is', async () => {
  const neolith = await startNeolith()
  const client = clientOf(neolith)
  expect([client.isAuthenticated(), client.getSessionId()]).toEqual([false, null])

  const answer = await client.authenticate(['messages:read'])

  expect(answer.orchestrator).toMatchObject({ id: ORCHESTRATOR, user: { id: USER }, organization: { slug: 'acme' } })
  expect(answer.sessionId).toMatch(/^daemon_session_orch-1_\d+$/)
  expect(client.getSessionId()).toBe(answer.sessionId)
  expect(client.isAuthenticated()).toBe(true)
  const [asked] = neolith.calls('POST /api/daemon/auth')
  expect(asked?.body).toEqual({ apiKey: API_KEY, apiSecret: API_SECRET, scopes: ['messages:read'] })
  expect(asked?.authorization).toBeUndefined()
})

test.each([
  ['a wrong secret', { apiSecret: 'wrong' }, 'ONLINE', 401, 'INVALID_CREDENTIALS'],
  ['an orchestrator that is off', {}, 'OFFLINE', 403, 'DAEMON_DISABLED'],
])('N-01: %s is said once, with its code, and not tried again', async (_what, config, status, httpStatus, code) => {
  const neolith = await startNeolith()
  neolith.status = status

  const failure = await clientOf(neolith, config)
    .authenticate()
    .catch((error: unknown) => error)

  expect(failure).toBeInstanceOf(NeolithError)
  expect(failure).toMatchObject({ status: httpStatus, code, message: `API request failed: ${code} (${code})` })
  expect(neolith.requests).toHaveLength(1)
})

test('N-02: a token that ends soon is replaced before it is used, by one request for many calls', async () => {
  const neolith = await startNeolith()
  neolith.tokenLifeMs = 4 * 60_000
  const { client } = await signedIn(neolith)
  neolith.tokenLifeMs = 60 * 60_000

  await Promise.all([client.getConfig(), client.getChannels(), client.sendHeartbeat()])

  expect(neolith.calls('POST /api/daemon/auth/refresh')).toHaveLength(1)
  expect(neolith.requests.filter(({ authorization }) => authorization).length).toBe(3)
  expect(new Set(neolith.requests.slice(2).map(({ authorization }) => authorization)).size).toBe(1)
})

test.each([3_600_000, -3_600_000])('N-02: a clock that is %i ms wrong changes nothing about that', async (clockMs) => {
  const neolith = await startNeolith()
  neolith.clockMs = clockMs
  const { client } = await signedIn(neolith)

  await client.getConfig()
  expect(neolith.calls('POST /api/daemon/auth/refresh')).toHaveLength(0)
  neolith.tokenLifeMs = 60_000
  await client.refreshAccessToken()
  await client.getConfig()

  expect(neolith.calls('POST /api/daemon/auth/refresh')).toHaveLength(2)
})

test('N-02: where the refresh token is no good either, the key signs in anew', async () => {
  const neolith = await startNeolith()
  const { client } = await signedIn(neolith)
  neolith.revokeAccess()
  neolith.revokeRefresh()

  const config = await client.getConfig()

  expect(config.orchestrator.role).toBe('helper')
  expect(neolith.requests.map(({ method, path }) => `${method} ${path.replace('/api/daemon', '')}`)).toEqual([
    'POST /auth',
    'GET /config',
    'POST /auth/refresh',
    'POST /auth',
    'GET /config',
  ])
})

test('N-03: a heartbeat carries the session, the status and the metrics, and says when the next one is due', async () => {
  const neolith = await startNeolith()
  const { client } = await signedIn(neolith)
  const metrics = { memoryUsageMB: 256, cpuUsagePercent: 15.5, activeSessions: 5 }

  const answer = await client.sendHeartbeat({ status: 'active', metrics })

  expect(answer).toMatchObject({ success: true, heartbeatIntervalMs: 30_000 })
  expect(neolith.heartbeats).toEqual([{ sessionId: client.getSessionId(), status: 'active', metrics }])
})

test('N-04: the configuration comes with its dates', async () => {
  const { client } = await signedIn(await startNeolith())

  const config = await client.getConfig()

  expect(config.orchestrator.createdAt).toEqual(new Date('2026-01-01T00:00:00.000Z'))
  expect(config.operationalConfig).toMatchObject({ heartbeatIntervalMs: 30_000, messageRateLimitPerMinute: 60 })
})

test('N-05: messages of a channel come in their order, in pages, and only to members', async () => {
  const neolith = await startNeolith()
  const { client } = await signedIn(neolith)
  const [, second] = ['one', 'two', 'three', 'four'].map((text) => neolith.say(text))

  const { messages } = await client.getMessages('chan-1', { limit: 2, after: second?.id as string })

  expect(messages.map(({ content }) => content)).toEqual(['three', 'four'])
  expect(messages[0]?.createdAt).toBeInstanceOf(Date)
  await expect(client.getMessages('elsewhere')).rejects.toMatchObject({ status: 403, code: 'CHANNEL_ACCESS_DENIED' })
})

test('N-06: a message is written with its thread, attachments and metadata', async () => {
  const neolith = await startNeolith()
  const { client } = await signedIn(neolith)
  const options = { threadId: 'msg_1', attachments: [{ type: 'link', url: 'https://x' }], metadata: { a: 1 } }

  const { messageId } = await client.sendMessage('chan-1', 'Task completed successfully!', options)

  expect(neolith.messages.find(({ id }) => id === messageId)).toMatchObject({ parentId: 'msg_1', metadata: { a: 1 } })
  const body = { channelId: 'chan-1', content: 'Task completed successfully!', ...options }
  expect(neolith.calls('POST /api/daemon/messages')[0]?.body).toEqual(body)
  await expect(client.sendMessage('elsewhere', 'x')).rejects.toMatchObject({ code: 'CHANNEL_ACCESS_DENIED' })
  expect(neolith.calls('POST /api/daemon/messages')).toHaveLength(2)
})

test('N-07: the status is told with its message', async () => {
  const neolith = await startNeolith()
  const { client } = await signedIn(neolith)

  await client.updateStatus('paused', { message: 'for a while' })

  expect(neolith.calls('PUT /api/daemon/status')[0]?.body).toEqual({ status: 'paused', message: 'for a while' })
})

test('N-08: events are read since a time and acknowledged', async () => {
  const neolith = await startNeolith()
  const { client } = await signedIn(neolith)
  const said = neolith.say('hello')

  const events = await client.getEvents()
  await client.acknowledgeEvents(events.map(({ id }) => id))

  expect(events).toMatchObject([{ id: `msg_${said.id}`, type: 'message_created', channelId: 'chan-1' }])
  expect([...neolith.acknowledged]).toEqual([`msg_${said.id}`])
  expect(await client.getEvents(new Date(Date.now() + 60_000))).toEqual([])
})

test('N-08: presence, channels, the registration and sessions', async () => {
  const neolith = await startNeolith()
  const { client } = await signedIn(neolith)
  const daemonInfo = { instanceId: 'i', version: '2', host: 'h', port: 1, protocol: 'ws' as const, startedAt: 'now' }

  await client.setPresence('away', 'back soon')
  await client.joinChannel('chan-2')
  expect((await client.getChannels()).map(({ id }) => id)).toEqual(['chan-1', 'dm-1', 'chan-2'])
  await client.leaveChannel('chan-2')
  await expect(client.leaveChannel('chan-2')).rejects.toMatchObject({ code: 'NOT_MEMBER' })
  const registration = { orchestratorId: ORCHESTRATOR, organizationId: 'org-1', daemonInfo }
  expect(await client.register(registration)).toEqual({ orchestratorId: ORCHESTRATOR })
  expect(await client.getDaemon()).toMatchObject({ status: 'online' })
  expect(await client.listSessions()).toMatchObject([{ id: 'session-1' }])
  const session = await client.createSession({ orchestratorId: ORCHESTRATOR, type: 'daemon' })
  expect(await client.updateSession({ sessionId: session.id, status: 'idle' })).toMatchObject({ status: 'idle' })
  await client.endSession(session.id)
  await client.unregister()

  expect(neolith.calls('PUT /api/daemon/presence')[0]?.body).toEqual({ status: 'away', statusText: 'back soon' })
  expect(neolith.status).toBe('OFFLINE')
})

test('errors of either shape are read, and none shows a secret, whatever the server repeats', async () => {
  const neolith = await startNeolith()
  const { client } = await signedIn(neolith)
  await expect(client.createSession({ orchestratorId: 'other', type: 'user' })).rejects.toMatchObject({
    ...{ code: 'FORBIDDEN', status: 403 },
  })
  const told = [...neolith.secrets, neolith.requests.at(-1)?.authorization].join(' ')
  neolith.fail('GET /api/daemon/config', {
    ...{ kind: 'status', status: 400, body: JSON.stringify({ error: `bad: ${told}`, code: 'BAD' }) },
  })

  const failure = (await client.getConfig().catch((error: unknown) => error)) as Error

  expect(failure.message).toMatch(/^API request failed: bad: /)
  for (const secret of neolith.secrets) expect(`${failure.stack} ${JSON.stringify(failure)}`).not.toContain(secret)
})

test('without a sign-in nothing is asked, and none can be asked after it was forgotten', async () => {
  const neolith = await startNeolith()
  const message = 'Not authenticated. Please call authenticate() first.'
  await expect(clientOf(neolith).getConfig()).rejects.toThrow(message)
  const { client } = await signedIn(neolith)

  await client.clearAuth()

  expect(client.isAuthenticated()).toBe(false)
  await expect(client.getConfig()).rejects.toThrow(message)
  await expect(client.refreshAccessToken()).rejects.toThrow(message)
})
