/**
 * A daemon inside a program: its methods do what clients' messages do, and its events tell what really happened.
 */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest'
import { connect } from '../../src/client/client.js'
import {
  OrchestratorDaemon,
  type OrchestratorDaemonConfig,
  ServiceError,
  type SessionEvents,
  silentLog,
} from '../../src/index.js'

const folder = mkdtempSync(join(tmpdir(), 'library-'))
const SECRET = 'a secret of at least thirty-two characters'
const PATIENCE = { timeout: 10_000, interval: 20 }

/**
 * Alone in one process on free ports, whatever the environment of the developer says. All daemons of this file use the
 * same folder, one after the other: a new database takes seconds.
 */
const settings = (more: OrchestratorDaemonConfig = {}): OrchestratorDaemonConfig => ({
  port: 0,
  METRICS_PORT: 0,
  REDIS_URL: '',
  DATABASE_URL: '',
  DAEMON_JWT_SECRET: '',
  // Never asked: these sessions echo. Without one the status would call the daemon degraded.
  OPENAI_API_KEY: 'none',
  DAEMON_RATE_LIMIT_ENABLED: false,
  DATA_DIR: join(folder, 'data'),
  WORKSPACE_ROOT: join(folder, 'workspaces'),
  ...more,
})

const quiet = { log: silentLog }
const echo = (description: string) => ({ description, metadata: { echo: { count: 2, bytes: 4 } } })
const addressOf = (daemon: OrchestratorDaemon) => `ws://127.0.0.1:${daemon.port}`

/** Names of the events of one session, in the order they came. */
function recorder(daemon: OrchestratorDaemon) {
  const seen: { name: string; sessionId: string }[] = []
  const names = ['spawned', 'running', 'stopped', 'completed', 'failed'].map((it) => `session:${it}`)
  const all = [...names, 'task:executing', 'task:completed', 'task:failed', 'task:cancelled']
  for (const name of all as (keyof SessionEvents)[]) {
    daemon.on(name, ((about: { id?: string; sessionId?: string }) => {
      seen.push({ name, sessionId: about.sessionId ?? about.id ?? '' })
    }) as never)
  }
  return (sessionId: string) => seen.filter((it) => it.sessionId === sessionId).map(({ name }) => name)
}

afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('a running daemon', () => {
  const daemon = new OrchestratorDaemon(settings({ DAEMON_HEALTH_CHECK_INTERVAL: 1_000 }), quiet)
  const eventsOf = recorder(daemon)
  beforeAll(() => daemon.start())
  afterAll(() => daemon.stop())

  test('P-01: tells what becomes of a session in the order in which it happened', async () => {
    const session = await daemon.spawnSession('planner', echo('first'), 'echo')
    const end = await daemon.executeTask(session.id, echo('second'), { reason: 'a test' })
    await daemon.sessionManager.stopSession(session.id)
    await vi.waitFor(() => expect(eventsOf(session.id)).toContain('session:stopped'), PATIENCE)

    expect(session).toMatchObject({ orchestratorId: 'planner', type: 'echo', status: 'active' })
    expect(end).toMatchObject({ type: 'task_completed', sessionId: session.id })
    const task = ['session:running', 'task:executing', 'task:completed']
    expect(eventsOf(session.id)).toEqual(['session:spawned', ...task, ...task, 'session:stopped'])
    expect(await daemon.sessionManager.getSession(session.id)).toMatchObject({ status: 'terminated' })
  })

  test('tells of sessions that clients spawn over the network, and who watches them', async () => {
    const client = await connect({ url: addressOf(daemon) })
    const handle = await client.spawn({ task: echo('from outside'), sessionType: 'echo' })
    await handle.result()
    await vi.waitFor(() => expect(eventsOf(handle.id)).toContain('task:completed'), PATIENCE)

    const server = daemon.webSocketServer
    expect(eventsOf(handle.id).slice(0, 3)).toEqual(['session:spawned', 'session:running', 'task:executing'])
    expect([server.port, server.host, server.isAuthEnabled()]).toEqual([daemon.port, '127.0.0.1', false])
    expect([server.getClientCount(), server.getSessionClientCount(handle.id)]).toEqual([1, 1])
    expect(server.getActiveSessionIds()).toEqual([handle.id])
    client.close()
    await vi.waitFor(() => expect(server.getClientCount()).toBe(0), PATIENCE)
    expect(server.getActiveSessionIds()).toEqual([])
  })

  test('P-03: fails a session for a reason, which everybody sees, and cancels what it works on', async () => {
    const slow = { description: 'slow', metadata: { echo: { count: 1_000, bytes: 4, delayMs: 20 } } }
    const session = await daemon.spawnSession('planner', slow, 'echo')
    await vi.waitFor(() => expect(eventsOf(session.id)).toContain('task:executing'), PATIENCE)

    await daemon.sessionManager.failSession(session.id, new Error('the tests do not pass'))

    await vi.waitFor(() => expect(eventsOf(session.id)).toContain('session:failed'), PATIENCE)
    expect(eventsOf(session.id).slice(-2)).toEqual(['task:cancelled', 'session:failed'])
    const failed = await daemon.sessionManager.getSession(session.id)
    expect(failed).toMatchObject({ status: 'failed', error: 'the tests do not pass', endedAt: expect.any(String) })
    const again = daemon.sessionManager.executeTask(session.id, echo('more'))
    await expect(again).rejects.toMatchObject({ code: expect.stringMatching(/session_(ended|not_running)/) })
    await expect(daemon.sessionManager.failSession('session_none', 'x')).rejects.toMatchObject({
      code: 'session_not_found',
    })
  })

  test('shows figures of the program in place of its own, to that program alone', async () => {
    const sessions = daemon.sessionManager
    const { id } = await daemon.spawnSession('planner', echo('measured'), 'echo')
    await vi.waitFor(() => expect(eventsOf(id)).toContain('task:completed'), PATIENCE)
    const updated = vi.fn()
    daemon.on('session:metrics_updated', updated)

    await sessions.updateMetrics(id, { tokensUsed: 77 })

    expect(updated).toHaveBeenCalledWith({ sessionId: id, metrics: expect.objectContaining({ tokensUsed: 77 }) })
    expect((await sessions.getSession(id))?.metrics).toMatchObject({ tokensUsed: 77, tasksCompleted: 1 })
    expect((await sessions.getAllSessions()).find((it) => it.id === id)?.metrics.tokensUsed).toBe(77)
    const client = await connect({ url: addressOf(daemon) })
    expect((await client.status(id)).metrics.tokensUsed).not.toBe(77)
    client.close()
    await expect(sessions.updateMetrics('session_none', {})).rejects.toMatchObject({ code: 'session_not_found' })
  })

  test('P-03: keeps what a session has said after its end, until it is cleaned up', async () => {
    const sessions = daemon.sessionManager
    const session = await daemon.spawnSession('planner', echo('say it'), 'echo')
    await vi.waitFor(() => expect(eventsOf(session.id)).toContain('task:completed'), PATIENCE)
    await sessions.stopSession(session.id)
    await vi.waitFor(() => expect(eventsOf(session.id)).toContain('session:stopped'), PATIENCE)
    const said = sessions.getSessionOutput(session.id)

    await vi.waitFor(() => {
      sessions.cleanup(0)
      expect(sessions.getSessionOutput(session.id)).toBe('')
    }, PATIENCE)

    expect(said).not.toBe('')
    expect(sessions.cleanup(0)).toBe(0)
    expect(await sessions.getSession(session.id)).toMatchObject({ status: 'terminated' })
  })

  test('works on many sessions at once and counts them', async () => {
    const before = await daemon.sessionManager.getSessionCount()
    const spawned = await Promise.all(
      Array.from({ length: 20 }, (_, i) => daemon.spawnSession('many', echo(`${i}`), 'echo')),
    )

    expect(new Set(spawned.map(({ id }) => id)).size).toBe(20)
    expect(await daemon.sessionManager.getSessionCount()).toBe(before + 20)
    await vi.waitFor(async () => {
      expect(await daemon.sessionManager.getActiveSessionCount()).toBeGreaterThanOrEqual(20)
    }, PATIENCE)
  })

  test('says where a task would go, and how it is, without being asked', async () => {
    const routed = vi.fn()
    const healthCheck = vi.fn()
    daemon.once('task:routed', routed)
    daemon.once('healthCheck', healthCheck)

    const answer = await daemon.routeTask('anything')
    const status = await daemon.getStatus()

    expect(answer).toMatchObject({ taskId: expect.any(String), decision: { strategy: 'least-loaded' } })
    expect(routed).toHaveBeenCalledWith(answer)
    expect(status).toMatchObject({ status: 'running', name: 'orchestrator-daemon' })
    await vi.waitFor(() => expect(healthCheck).toHaveBeenCalledOnce(), PATIENCE)
    expect(healthCheck.mock.calls[0]?.[0]).toMatchObject({ status: 'running' })
  })

  test('refuses what clients are refused, with the same code', async () => {
    await expect(daemon.executeTask('session_000_none', 'anything')).rejects.toMatchObject({
      code: 'session_not_found',
    })
    expect(await daemon.sessionManager.getSession('session_000_none')).toBeUndefined()
  })
})

test('behind a lock the daemon needs no token of its own and sees the sessions of its tenant only', async () => {
  const daemon = stopped(new OrchestratorDaemon(settings({ DAEMON_JWT_SECRET: SECRET }), { ...quiet, tenant: 'acme' }))
  const eventsOf = recorder(daemon)
  await daemon.start()
  const [friend, stranger] = await Promise.all([
    connect({ url: addressOf(daemon), token: await tokenOf('acme') }),
    connect({ url: addressOf(daemon), token: await tokenOf('other') }),
  ])

  const theirs = await stranger.spawn({ task: echo('theirs'), sessionType: 'echo' })
  await theirs.result()
  const own = await daemon.spawnSession('own', echo('own'), 'echo')

  expect(await friend.status(own.id)).toMatchObject({ id: own.id })
  expect(await daemon.sessionManager.getSession(theirs.id)).toBeUndefined()
  expect(eventsOf(theirs.id)).toEqual([])
  expect(daemon.webSocketServer.isAuthEnabled()).toBe(true)
  friend.close()
  stranger.close()
})

test('a daemon that was stopped starts again with its sessions', async () => {
  const daemon = stopped(new OrchestratorDaemon(settings(), quiet))
  const marks: string[] = []
  daemon.on('started', () => marks.push('started'))
  daemon.on('stopped', () => marks.push('stopped'))

  await Promise.all([daemon.start(), daemon.start()])
  const { id } = await daemon.spawnSession('keeper', echo('before'), 'echo')
  await Promise.all([daemon.stop(), daemon.stop()])
  const refused = await daemon.getStatus().catch((error: unknown) => error)
  await daemon.start()
  const end = await daemon.executeTask(id, echo('after'))
  await daemon.stop()

  expect(refused).toBeInstanceOf(ServiceError)
  expect(refused).toMatchObject({ message: 'The service cannot do this right now: the daemon is not started' })
  expect(end).toMatchObject({ type: 'task_completed', sessionId: id })
  expect(marks).toEqual(['started', 'stopped', 'started', 'stopped'])
})

test('a port that is taken keeps the daemon from starting, and it can be tried again', async () => {
  const occupant = createServer().listen(0, '127.0.0.1')
  await once(occupant, 'listening')
  const { port } = occupant.address() as AddressInfo
  const daemon = stopped(new OrchestratorDaemon(settings({ port }), quiet))

  await expect(daemon.start()).rejects.toThrow(`cannot listen on 127.0.0.1:${port}`)
  occupant.close()
  await once(occupant, 'close')
  await daemon.start()

  expect(daemon.port).toBe(port)
})

/** Stops the daemon however its test ends: the next one uses its folder. */
function stopped(daemon: OrchestratorDaemon): OrchestratorDaemon {
  onTestFinished(() => daemon.stop())
  return daemon
}

async function tokenOf(tenant: string): Promise<string> {
  return new SignJWT({ claims: { tenant, role: 'admin' } })
    .setProtectedHeader({ alg: 'HS256', typ: 'JWT' })
    .setSubject('tester')
    .setIssuer('wundr-orchestrator')
    .setAudience('wundr-daemon')
    .setIssuedAt()
    .setExpirationTime('1h')
    .sign(new TextEncoder().encode(SECRET))
}
