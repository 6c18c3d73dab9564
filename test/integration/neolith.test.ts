/**
 * A daemon alone and a Neolith: it signs in, shows that it is there, and does what people ask for there.
 */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, onTestFinished, test, vi } from 'vitest'
import { connect } from '../../src/client/client.js'
import { Requester } from '../contract/http/http-fixture.js'
import { SECRET, token } from '../contract/wire/edge-fixture.js'
import { API_KEY, API_SECRET, FakeNeolith, type Fault, ORCHESTRATOR, USER } from '../support/fake-neolith.js'
import { readMetrics, valueIn } from '../support/metrics-page.js'
import { answered, expectOnce, kindOf, longTask, neolithSettings, wordsOf } from '../support/neolith-task.js'
import { PATIENCE, type RunningDaemon, settingsFolder, startWith } from '../support/settings-fixture.js'

const SEND = 'POST /api/daemon/messages'
const folder = settingsFolder()
afterAll(() => folder.remove())
const SLOW_TEST = 60_000

async function startNeolith(): Promise<FakeNeolith> {
  const neolith = await FakeNeolith.start()
  onTestFinished(() => neolith.stop())
  return neolith
}

async function startDaemon(neolith: FakeNeolith, env: Record<string, string> = {}): Promise<RunningDaemon> {
  const running = await startWith(folder.path, {
    ...neolithSettings(neolith, API_KEY, API_SECRET),
    ...{ DAEMON_JWT_SECRET: SECRET, DAEMON_HEARTBEAT_INTERVAL: '1000', SHARD_COUNT: '4', ...env },
  })
  onTestFinished(running.stop)
  return running
}

/** The next test begins with an empty database. */
const forget = (): void => rmSync(join(folder.path, 'data'), { recursive: true, force: true })

test('N-01, N-03, N-04, N-07: it signs in at its start, says that it works, reads its configuration and goes on to beat', async () => {
  const neolith = await startNeolith()
  await startDaemon(neolith)

  await vi.waitFor(() => expect(neolith.heartbeats.length).toBeGreaterThan(2), PATIENCE)

  expect(neolith.calls('POST /api/daemon/auth')).toHaveLength(1)
  expect(neolith.calls('GET /api/daemon/config')).toHaveLength(1)
  expect(neolith.statuses).toEqual(['active'])
  expect(neolith.heartbeats.at(-1)).toMatchObject({
    sessionId: expect.stringMatching(/^daemon_session_/),
    status: 'active',
    metrics: { memoryUsageMB: expect.any(Number), uptimeSeconds: expect.any(Number), activeSessions: 0, queueDepth: 0 },
  })
})

test('what a person asks for is done in a session, and answered in the thread; whoever comes from there sees it', async () => {
  const neolith = await startNeolith()
  const { daemon } = await startDaemon(neolith)

  const asked = neolith.say(`@${USER} build it`)
  const idle = neolith.say('nothing for the daemon')
  const answers = await answered(neolith, asked)

  expect(answers.map((each) => [kindOf(each), each.content])).toEqual([
    ['started', 'On it.'],
    ['result', 'build it'],
  ])
  expect(neolith.answersTo(idle)).toEqual([])
  await vi.waitFor(() => expect(neolith.acknowledged).toContain(`msg_${asked.id}`), PATIENCE)
  const client = await connect({
    url: `ws://127.0.0.1:${daemon.port}`,
    token: await token({ claims: { tenant: ORCHESTRATOR, role: 'admin' } }),
  })
  const session = await client.status(String(answers[0]?.metadata?.sessionId))
  client.close()
  expect(session).toMatchObject({ orchestratorId: ORCHESTRATOR, type: 'echo' })
  expect(session.task).toMatchObject({ id: `neolith-${asked.id}`, description: 'build it' })
})

test('a direct message needs no mention, and an event that comes again is no new task', async () => {
  const neolith = await startNeolith()
  await startDaemon(neolith)

  const asked = neolith.say('just do it', 'dm-1')
  await answered(neolith, asked)
  const polls = neolith.calls('GET /api/daemon/events').length
  await vi.waitFor(() => expect(neolith.calls('GET /api/daemon/events').length).toBeGreaterThan(polls + 1), PATIENCE)

  expect(neolith.answersTo(asked)).toHaveLength(2)
})

const POSTING_FAULTS: readonly (readonly [string, Fault])[] = [
  ['the connection is cut after the work', { kind: 'cut', done: true }],
  ['the connection is cut before it', { kind: 'cut' }],
  ['the server fails', { kind: 'status', status: 500 }],
  ['the answer is garbage', { kind: 'garbage' }],
  ['the token is revoked', { kind: 'revoked' }],
  ['there are too many messages', { kind: 'status', status: 429, retryAfter: '1' }],
]

test.each(POSTING_FAULTS)(
  'an answer is written once when %s',
  async (_what, fault) => {
    const neolith = await startNeolith()
    await startDaemon(neolith)
    neolith.fail(SEND, fault, fault)

    const answers = await answered(neolith, neolith.say(`@${USER} once`))

    expect(answers.map(kindOf)).toEqual(['started', 'result'])
    expectOnce(answers)
  },
  SLOW_TEST,
)

test('an answer that Neolith will never take is given up, and others go on', async () => {
  const neolith = await startNeolith()
  const { lines } = await startDaemon(neolith)
  neolith.fail(SEND, { kind: 'status', status: 403, body: '{"error":"no","code":"CHANNEL_ACCESS_DENIED"}' })

  const lost = neolith.say(`@${USER} one`)
  await vi.waitFor(() => expect(lines.join('\n')).toContain('a task of Neolith has no good end'), PATIENCE)
  await answered(neolith, neolith.say(`@${USER} two`))

  expect(neolith.answersTo(lost)).toEqual([])
})

test(
  'a daemon starts without its Neolith, and signs in when that is there',
  async () => {
    const neolith = await startNeolith()
    neolith.status = 'OFFLINE'
    const { lines } = await startDaemon(neolith)
    await vi.waitFor(() => expect(lines.join('\n')).toContain('DAEMON_DISABLED'), PATIENCE)
    neolith.status = 'ONLINE'

    await answered(neolith, neolith.say(`@${USER} at last`))

    expect(lines.filter((line) => line.includes('Neolith cannot be spoken to'))).toHaveLength(1)
  },
  SLOW_TEST,
)

test(
  'what was begun before a restart is told to its end after it, and nothing twice',
  async () => {
    forget()
    const neolith = await startNeolith()
    const { text, paragraph } = longTask(8, 1_000)
    const first = await startDaemon(neolith)
    const asked = neolith.say(text)
    await vi.waitFor(() => expect(neolith.answersTo(asked).map(kindOf)).toContain('progress'), PATIENCE)
    await first.stop()
    const before = neolith.answersTo(asked).length

    await startDaemon(neolith)
    const answers = await answered(neolith, asked, SLOW_TEST)

    expect(before).toBeGreaterThan(1)
    expect(answers.length).toBeGreaterThan(before)
    expectOnce(answers)
    expect(wordsOf(answers)).toBe(paragraph.repeat(8).replace(/\s+/g, ' '))
  },
  2 * SLOW_TEST,
)

test('calls, tasks and the breaker show on the page of metrics', async () => {
  const neolith = await startNeolith()
  const { daemon } = await startDaemon(neolith)
  neolith.fail('GET /api/daemon/config', { kind: 'status', status: 500 })
  await answered(neolith, neolith.say(`@${USER} count me`))

  // Neolith has an answer before the daemon knows that it has.
  await vi.waitFor(async () => {
    const page = await readMetrics(daemon.metricsPort)
    const calls = (call: string, outcome: string) =>
      valueIn(
        page,
        'orchestrator_neolith_requests_total',
        `orchestrator_neolith_requests_total{call="${call}",outcome="${outcome}"}`,
      )
    expect(calls('auth', 'ok')).toBe(1)
    expect(calls('config', 'server_error')).toBe(1)
    expect(calls('send', 'ok')).toBe(2)
    const single = (name: string) => valueIn(page, name, name)
    expect(single('orchestrator_neolith_breaker_state')).toBe(0)
    expect(single('orchestrator_neolith_reporting')).toBe(1)
    expect(single('orchestrator_neolith_tasks_taken_total')).toBe(1)
    expect(single('orchestrator_neolith_messages_total')).toBe(2)
    const ended = 'orchestrator_neolith_tasks_total{status="answered"}'
    expect(valueIn(page, 'orchestrator_neolith_tasks_total', ended)).toBe(1)
  }, PATIENCE)
})

test('H-06: channels and traffic are told as Neolith tells them, and why not while it does not', async () => {
  const neolith = await startNeolith()
  const { daemon } = await startDaemon(neolith)
  await answered(neolith, neolith.say(`@${USER} count me`))
  const authorization = `Bearer ${await token({ claims: { tenant: 'acme', role: 'admin' } })}`
  const bridge = new Requester(`http://127.0.0.1:${daemon.port}`, { authorization })

  const channels = await bridge.get('/api/channels')
  expect(channels.body.channels).toMatchObject([{ id: 'chan-1', name: 'general' }, { id: 'dm-1' }])
  expect((await bridge.get('/api/channels/chan-1/health')).body).toMatchObject({ id: 'chan-1', status: 'healthy' })
  expect((await bridge.get('/api/channels/elsewhere/health')).status).toBe(404)
  const traffic = { messagesPerMinute: 60, sent: 2, received: 1, breaker: 'closed', reporting: true }
  await vi.waitFor(async () => {
    expect((await bridge.get('/api/traffic/config')).body).toMatchObject(traffic)
  }, PATIENCE)
  neolith.fail('GET /api/daemon/channels', { kind: 'status', status: 403, body: '{"error":"no","code":"FORBIDDEN"}' })
  const away = await bridge.get('/api/channels')
  expect([away.status, JSON.stringify(away.body)]).toEqual([503, expect.stringContaining('FORBIDDEN')])
})

test(
  'no secret reaches the log or the metrics, whatever Neolith repeats of what it was told',
  async () => {
    const neolith = await startNeolith()
    const { daemon, lines } = await startDaemon(neolith, { LOG_LEVEL: 'debug' })
    await vi.waitFor(() => expect(neolith.heartbeats.length).toBeGreaterThan(0), PATIENCE)
    const told = JSON.stringify({ error: `you sent ${neolith.secrets.join(' and ')}`, code: 'REPEATED' })
    neolith.fail('GET /api/daemon/events', { kind: 'status', status: 400, body: told })
    neolith.fail('POST /api/daemon/heartbeat', { kind: 'status', status: 400, body: told })
    neolith.revokeAccess()
    neolith.fail('POST /api/daemon/auth/refresh', { kind: 'status', status: 500, body: told })

    await vi.waitFor(() => expect(lines.join('\n')).toContain('REPEATED'), PATIENCE)
    await answered(neolith, neolith.say(`@${USER} go on`))
    const page = await (await fetch(`http://127.0.0.1:${daemon.metricsPort}/metrics`)).text()

    expect(lines.length).toBeGreaterThan(5)
    for (const secret of neolith.secrets)
      expect([secret, `${lines.join('\n')}\n${page}`.includes(secret)]).toEqual([secret, false])
  },
  SLOW_TEST,
)
