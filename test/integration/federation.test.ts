/**
 * Orchestrators of programs work together: they register, delegate real tasks to each other, and share what they know.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test, vi } from 'vitest'
import { connect, FROM_START, type ServerMessage } from '../../src/client/client.js'
import { FederationCoordinator, OrchestratorDaemon, silentLog } from '../../src/index.js'
import { readMetrics, valueIn } from '../support/metrics-page.js'

const folder = mkdtempSync(join(tmpdir(), 'federation-'))
const PATIENCE = { timeout: 10_000, interval: 20 }
const settings = {
  port: 0,
  METRICS_PORT: 0,
  REDIS_URL: '',
  DATABASE_URL: '',
  DAEMON_JWT_SECRET: '',
  OPENAI_API_KEY: '',
  ANTHROPIC_API_KEY: '',
  DATA_DIR: join(folder, 'data'),
  WORKSPACE_ROOT: join(folder, 'workspaces'),
}

const daemon = new OrchestratorDaemon(settings, { log: silentLog })
let federation: FederationCoordinator

beforeAll(async () => {
  await daemon.start()
  federation = new FederationCoordinator(daemon)
})
afterAll(async () => {
  await federation.shutdown()
  await daemon.stop()
  rmSync(folder, { recursive: true, force: true })
})

/** Registered until the test is over. */
async function register(id: string, more: Partial<Parameters<FederationCoordinator['registerOrchestrator']>[0]> = {}) {
  onTestFinished(async () => void (await federation.unregisterOrchestrator(id)))
  return federation.registerOrchestrator({ id, sessionType: 'echo', ...more })
}

test('a program says where in its trace a task belongs, and finds it on the events of the task', async () => {
  await register('traced')
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
  const { sessionId } = await federation.delegateTask({ from: 'program', to: 'traced', task: 'x' }, { traceparent })
  const client = await connect({ url: `ws://127.0.0.1:${daemon.port}` })
  onTestFinished(() => client.close())
  const story = await client.attach(String(sessionId), FROM_START)
  let end: ServerMessage | undefined
  for await (const message of story) {
    end = message
    if (message.type === 'task_completed') break
  }

  expect(end).toMatchObject({ type: 'task_completed', traceparent })
})

test('D-15, P-06: a task is done in a session of the orchestrator that can do it, and its result comes back', async () => {
  await register('writer', { capabilities: ['writing'] })
  await register('reviewer', { capabilities: ['review'] })

  const result = await federation.delegateTask({
    from: 'writer',
    task: { id: 'my-task', description: 'looks good' },
    capabilities: ['review'],
  })

  expect(result).toMatchObject({
    status: 'completed',
    taskId: 'my-task',
    orchestrator: 'reviewer',
    output: 'looks good',
    attempts: 1,
    usage: { promptTokens: 0 },
  })
  const session = await daemon.sessionManager.getSession(result.sessionId ?? '')
  expect(session).toMatchObject({ orchestratorId: 'reviewer', type: 'echo', status: 'active' })
})

test('the next task goes on in the same session, and two at one time do not share one', async () => {
  await register('worker')
  const slow = { description: 'slow', metadata: { echo: { count: 5, bytes: 4, delayMs: 100 } } }

  const first = await federation.delegateTask({ task: 'first' })
  const [second, third] = await Promise.all([
    federation.delegateTask({ task: slow }),
    federation.delegateTask({ task: slow }),
  ])

  expect([second.status, third.status]).toEqual(['completed', 'completed'])
  const sessions = new Set([second.sessionId, third.sessionId])
  expect(sessions.size).toBe(2)
  expect(sessions).toContain(first.sessionId)
})

test('the same id is the same delegation: nothing runs again, and another body is refused', async () => {
  await register('worker')
  const executed = vi.fn()
  daemon.on('task:executing', executed)
  onTestFinished(() => void daemon.off('task:executing', executed))

  const first = await federation.delegateTask({ id: 'one', task: 'count me' })
  const again = await federation.delegateTask({ id: 'one', task: 'count me' })

  expect(again).toEqual(first)
  await expect(federation.delegateTask({ id: 'one', task: 'other' })).rejects.toMatchObject({
    code: 'idempotency_conflict',
  })
  const session = first.sessionId
  await vi.waitFor(() => {
    expect(executed.mock.calls.filter(([event]) => event.sessionId === session && event.taskId === 'one')).toHaveLength(
      1,
    )
  }, PATIENCE)
})

test('D-18, D-03: an orchestrator at which three tasks fail gets no fourth, and another one gets it', async () => {
  await register('broken', { capabilities: ['x'], sessionType: 'llm' })
  const ask = () => federation.delegateTask({ task: 'x', capabilities: ['x'], retries: 0 })

  const failed = [await ask(), await ask(), await ask()]
  const fourth = await ask()
  const outcomes = (await federation.getOrchestrator('broken'))?.outcomes
  await register('sound', { capabilities: ['x'], maxSessions: 1 })
  const fifth = await ask()

  expect(failed.map(({ status, attempts }) => [status, attempts])).toEqual(Array(3).fill(['failed', 1]))
  expect(fourth).toMatchObject({ status: 'failed', reason: 'unreachable', attempts: 0 })
  expect(fourth.error).toContain('too much fails at broken')
  expect(outcomes?.map((each) => each.failed)).toEqual([true, true, true])
  expect(fifth).toMatchObject({ status: 'completed', orchestrator: 'sound' })
})

test('a delegation that is cancelled ends its task', async () => {
  await register('worker')
  const delegated = new Promise<string>((resolve) => {
    federation.once('task:delegated', ({ delegationId }) => resolve(delegationId))
  })

  const ended = federation.delegateTask({
    task: { description: 'long', metadata: { echo: { count: 1_000, bytes: 4, delayMs: 50 } } },
  })
  expect(await federation.cancelDelegation(await delegated)).toBe(true)

  expect(await ended).toMatchObject({ status: 'cancelled', orchestrator: 'worker' })
})

test('a task that is not done in time is stopped and says so', async () => {
  await register('worker')

  const result = await federation.delegateTask({
    timeoutMs: 1_000,
    task: { description: 'long', metadata: { echo: { count: 1_000, bytes: 4, delayMs: 50 } } },
  })

  expect(result).toMatchObject({ status: 'failed', reason: 'timeout', attempts: 1 })
})

test('a task that fails for good is not tried again', async () => {
  await register('worker')

  const result = await federation.delegateTask({ task: { description: 'x', metadata: { echo: { count: 0 } } } })

  expect(result).toMatchObject({ status: 'failed', reason: 'rejected', code: 'invalid_payload', attempts: 1 })
})

test('what nobody can do fails at once, and what nobody has room for waits and then fails', async () => {
  await register('small', { maxSessions: 1 })
  const id = 'takes-the-only-place'
  const blocked = federation.delegateTask({
    id,
    task: { description: 'long', metadata: { echo: { count: 10_000, bytes: 4, delayMs: 50 } } },
  })
  await vi.waitFor(async () => {
    expect(await federation.getOrchestrator('small')).toMatchObject({ status: 'busy', activeSessions: 1 })
  }, PATIENCE)

  const unable = await federation.delegateTask({ task: 'x', capabilities: ['flying'] })
  const full = await federation.delegateTask({ task: 'x', retries: 1 })
  const absent = await federation.delegateTask({ task: 'x', to: 'nobody', retries: 0 })

  expect(unable).toMatchObject({ status: 'failed', reason: 'capability_mismatch', attempts: 0 })
  expect(full).toMatchObject({ status: 'failed', reason: 'overloaded', attempts: 0 })
  expect(absent).toMatchObject({ status: 'failed', reason: 'unreachable', attempts: 0 })
  expect(await federation.cancelDelegation(id)).toBe(true)
  expect(await blocked).toMatchObject({ status: 'cancelled', orchestrator: 'small' })
})

test('an orchestrator with two places does four tasks, two at a time', async () => {
  await register('pair', { maxSessions: 2 })
  const task = { description: 'x', metadata: { echo: { count: 4, bytes: 4, delayMs: 50 } } }

  const results = await Promise.all([1, 2, 3, 4].map(() => federation.delegateTask({ task, retries: 10 })))

  expect(results.map(({ status }) => status)).toEqual(Array(4).fill('completed'))
  expect(new Set(results.map(({ sessionId }) => sessionId)).size).toBeLessThanOrEqual(4)
})

test('the group sees its context, of two changes of one version one holds, and others see nothing', async () => {
  await register('a', { groups: ['team'] })
  await register('b', { groups: ['team'] })
  await register('stranger')
  const set = (member: string, value: unknown, expected: number) =>
    federation.setSharedContext(member, 'team', { key: 'plan', value, expected })

  const outcomes = await Promise.all([set('a', 'mine', 0), set('b', 'mine too', 0)])
  expect(outcomes.map(({ status }) => status).sort()).toEqual(['conflict', 'ok'])
  expect(await set('b', { steps: ['one'] }, 1)).toEqual({ status: 'ok', version: 2 })
  expect(await federation.getSharedContext('a', 'team')).toMatchObject([
    { key: 'plan', value: { steps: ['one'] }, version: 2, updatedBy: 'b' },
  ])
  expect(await set('a', undefined, 2)).toEqual({ status: 'ok', version: 0 })
  expect(await federation.getSharedContext('b', 'team')).toEqual([])
  await expect(federation.getSharedContext('stranger', 'team')).rejects.toMatchObject({ code: 'forbidden' })
  await expect(set('a', 'x'.repeat(70_000), 0)).rejects.toMatchObject({ code: 'invalid_payload' })
})

test('P-06: a broadcast waits in every matching inbox until it is acknowledged', async () => {
  await register('sender', { region: 'eu' })
  await register('near', { region: 'eu' })
  await register('far', { region: 'us' })
  const heard = vi.fn()
  federation.on('federation:broadcast', heard)
  onTestFinished(() => void federation.off('federation:broadcast', heard))

  const sent = await federation.broadcastToAll('sender', { text: 'hello' }, { region: 'eu' })
  await vi.waitFor(() => expect(heard).toHaveBeenCalled(), PATIENCE)

  expect(sent.receivers).toEqual(['near'])
  expect(heard.mock.calls[0]?.[0]).toMatchObject({ to: 'near', sender: 'sender', body: { text: 'hello' }, id: sent.id })
  expect(await federation.readInbox('far')).toEqual([])
  expect(await federation.acknowledge('near', sent.id)).toBe(true)
  expect(await federation.readInbox('near')).toEqual([])
  expect(await federation.getDelivery(sent.id)).toEqual({ delivered: ['near'], acknowledged: ['near'] })
})

test('a client on the network hears who would get its task, why, and with `execute` how it ended', async () => {
  await register('near', { capabilities: ['count'], region: 'eu' })
  await register('far', { capabilities: ['count'], region: 'us' })
  const client = await connect({ url: `ws://127.0.0.1:${daemon.port}` })
  onTestFinished(() => client.close())
  const needs = { capabilities: ['count'], region: 'us' }

  const routed = await client.route({ id: 'wire', description: 'from the wire' }, needs)
  const unable = await client.route('x', { capabilities: ['flying'] })
  const result = await client.delegate({ id: 'wire', description: 'from the wire' }, { ...needs, delegationId: 'w-1' })
  const again = await client.delegate({ id: 'wire', description: 'from the wire' }, { ...needs, delegationId: 'w-1' })

  expect(routed).toMatchObject({ taskId: 'wire', decision: { orchestrator: 'far', strategy: 'federation' } })
  expect(routed.decision.score).toBeGreaterThan(50)
  expect(routed.decision.reasons).toContain('10: in region us')
  expect(unable.decision).toMatchObject({ strategy: 'federation', reason: 'capability_mismatch' })
  expect(unable.decision.orchestrator).toBeUndefined()
  expect(result).toMatchObject({ status: 'completed', orchestrator: 'far', output: 'from the wire', taskId: 'wire' })
  expect(again).toEqual(result)
})

test('where nobody has registered the placement decides, and the task is done all the same', async () => {
  const client = await connect({ url: `ws://127.0.0.1:${daemon.port}` })
  onTestFinished(() => client.close())

  // Work of the tests before may still be under way, and counts.
  const { decision } = await vi.waitFor(async () => {
    const routed = await client.route('x')
    expect(routed.decision).toMatchObject({ strategy: 'least-loaded', score: 100, reasons: [expect.any(String)] })
    return routed
  }, PATIENCE)
  const result = await client.delegate('x', { sessionType: 'echo' })

  expect(decision.worker).toMatch(/@/)
  expect(result).toMatchObject({ status: 'completed', orchestrator: 'default', output: 'x' })
})

test('what was done is counted, for the program and for Prometheus', async () => {
  await register('counted')
  const before = await federation.getMetrics()
  await federation.delegateTask({ from: 'asker', task: 'x', to: 'counted' })

  const labels = 'from_orchestrator="asker",status="completed",to_orchestrator="counted"'
  const family = 'orchestrator_federation_delegations_total'
  await vi.waitFor(async () => {
    const after = await federation.getMetrics()
    expect(after).toMatchObject({ registered: 1, online: 1, busy: 0, offline: 0 })
    expect(after.delegations.completed).toBe(before.delegations.completed + 1)
    const page = await readMetrics(daemon.metricsPort)
    expect(valueIn(page, family, `${family}{${labels}}`)).toBe(1)
  }, PATIENCE)
})
