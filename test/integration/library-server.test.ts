/**
 * The WebSocket door alone: a program answers its clients itself, and the door keeps strangers and nonsense out.
 */
import { SignJWT } from 'jose'
import { expect, onTestFinished, test, vi } from 'vitest'
import { OrchestratorWebSocketServer, type WebSocketServerAuth } from '../../src/index.js'
import { RawClient } from '../support/settings-fixture.js'

const SECRET = 'a secret of at least thirty-two characters'
const PATIENCE = { timeout: 10_000, interval: 10 }

async function startServer(auth?: WebSocketServerAuth) {
  const server = new OrchestratorWebSocketServer(0, '127.0.0.1', auth)
  onTestFinished(() => server.stop())
  await server.start()
  return { server, url: `ws://127.0.0.1:${server.port}` }
}

const token = (claims: object, role: string) =>
  new SignJWT({ claims: { tenant: 'acme', role, ...claims } })
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject('alice')
    .setIssuer('wundr-orchestrator')
    .setAudience('wundr-daemon')
    .setIssuedAt()
    .setExpirationTime('1h')
    .sign(new TextEncoder().encode(SECRET))

test('P-02: a program answers messages, and whoever gave a task hears what is said of its session', async () => {
  const { server, url } = await startServer()
  server.on('execute_task', ({ payload }) => {
    const { sessionId } = payload
    server.notifyTaskExecuting(sessionId, 't')
    server.notifyStreamStart(sessionId, { model: 'mine' })
    server.streamToClient(sessionId, 'hello', { tokens: 1 })
    server.notifyToolExecution(sessionId, { toolName: 'look', toolInput: {}, status: 'started' })
    server.notifyToolExecution(sessionId, { toolName: 'look', status: 'completed', result: {} })
    server.notifyStreamEnd(sessionId, { totalTokens: 1 })
    server.notifyTaskCompleted(sessionId, 't', { success: true, output: 'hello' })
    server.notifyTaskFailed(sessionId, 'u', 'no')
  })
  const [client, other] = await Promise.all([RawClient.connect(url), RawClient.connect(url)])
  client.send({ type: 'execute_task', payload: { sessionId: 's', task: 'greet' } })
  await client.frame('task_failed')
  server.broadcast({ type: 'news' })
  await other.frame('news')

  const types = ['task_executing', 'stream_start', 'stream_chunk', 'tool_call_start', 'tool_call_result', 'stream_end']
  expect(client.frames.map(({ type }) => type)).toEqual(
    expect.arrayContaining(['health_check_response', ...types, 'task_completed', 'task_failed']),
  )
  expect(other.frames.map(({ type }) => type)).toEqual(['health_check_response', 'news'])
  expect(server.getClientCount()).toBe(2)
  expect(server.getActiveSessionIds()).toEqual(['s'])
  const [watcher] = server.getSessionClients('s')
  expect(watcher && server.getClientIdentity(watcher)).toMatchObject({ tenant: 'local', role: 'admin' })
  client.close()
  await vi.waitFor(() => expect(server.getSessionClientCount('s')).toBe(0), PATIENCE)
  expect(server.getActiveSessionIds()).toEqual([])
  other.close()
})

test('it answers pings itself, refuses nonsense, and says so where nobody listens', async () => {
  const { server, url } = await startServer()
  const client = await RawClient.connect(url)
  server.on('session_status', (_message, asker) => server.sendError(asker, 'not now', 's'))

  expect(await client.ask({ type: 'ping' }, 'pong')).toBeDefined()
  client.send({ type: 'spawn_session', payload: { task: '' } })
  client.send({ type: 'daemon_status' })
  client.send({ type: 'session_status', payload: { sessionId: 's' } })
  await vi.waitFor(() => {
    expect(client.frames.filter(({ type }) => type === 'error')).toMatchObject([
      { code: 'invalid_payload' },
      { code: 'unknown_type' },
      { error: 'not now', sessionId: 's' },
    ])
  }, PATIENCE)
  client.close()
})

test('with a secret strangers stay outside, and a role may send what it may', async () => {
  const { server, url } = await startServer({ jwtSecret: SECRET })
  const spawned = vi.fn()
  server.on('spawn_session', spawned)

  await expect(RawClient.connect(url)).rejects.toThrow('401')
  const reader = await RawClient.connect(url, { authorization: `Bearer ${await token({}, 'readonly')}` })
  const refused = await reader.ask({ type: 'spawn_session', payload: { task: 'x' } }, 'error')
  reader.close()

  expect(server.isAuthEnabled()).toBe(true)
  expect(refused).toMatchObject({ code: 'forbidden' })
  expect(spawned).not.toHaveBeenCalled()
})
