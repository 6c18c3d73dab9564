/**
 * Row WEB: clients that look for everything in `payload` find it there at the path /payload, and nobody else pays for it.
 */
import { once } from 'node:events'
import { expect, onTestFinished, test } from 'vitest'
import WebSocket from 'ws'
import { AUTH, type Frame, RawClient, startEdge, token } from './edge-fixture.js'

async function webApp(url: string, query = ''): Promise<RawClient> {
  const client = new RawClient(new WebSocket(`${url}/payload${query}`))
  onTestFinished(() => client.socket.terminate())
  await once(client.socket, 'open')
  return client
}

const withoutPayload = ({ payload: _, ...rest }: Frame): Frame => rest

test('every frame has what it is about in its payload, beside what the first protocol says', async () => {
  const { url } = await startEdge()
  const client = await webApp(url)

  client.send({ type: 'spawn_session', payload: { orchestratorId: 'o', sessionType: 'echo', task: 'wait' } })
  const spawned = (await client.type('session_spawned')) as { sessionId: string; session: object; payload: object }
  const { sessionId } = spawned
  client.send({ type: 'execute_task', payload: { sessionId, task: 'stream a b' } })
  const start = await client.type('stream_start')
  const chunk = await client.type('stream_chunk')
  const end = await client.type('task_completed')

  expect(spawned.payload).toEqual(spawned.session)
  expect(spawned.payload).toMatchObject({ id: sessionId, orchestratorId: 'o' })
  expect(start.payload).toMatchObject({ sessionId, metadata: { model: expect.any(String) } })
  expect(chunk.payload).toEqual(chunk.data)
  expect(end.payload).toMatchObject({ sessionId, taskId: end.taskId, result: end.result })
  expect(await client.type('health_check_response')).toMatchObject({ payload: { healthy: true } })
})

test('the same events are told as at any other path, and there without a payload', async () => {
  const { url, client: connect } = await startEdge()
  const [mirrored, plain] = [await webApp(url), await connect()]
  const { sessionId } = await plain.ask({ type: 'spawn_session', payload: { sessionType: 'echo', task: 'wait' } })
  await plain.type('session_spawned')
  mirrored.send({ type: 'subscribe', payload: { sessionId } })
  await mirrored.type('subscribed')

  plain.send({ type: 'execute_task', payload: { sessionId, task: 'stream "quoted" {braces} ü' } })
  const isOfTask = ({ type }: Frame) => /^(task|stream)_/.test(String(type))
  await mirrored.type('task_completed')
  await plain.next(({ type, result }) => type === 'task_completed' && JSON.stringify(result).includes('quoted'))

  const heard = mirrored.frames.filter(isOfTask)
  const told = plain.frames.filter(isOfTask).slice(-heard.length)
  expect(heard.map(withoutPayload)).toEqual(told)
  expect(plain.frames.some((frame) => 'payload' in frame)).toBe(false)
})

test('what the web app asks for by its own names is answered, and errors have a payload too', async () => {
  const { url } = await startEdge()
  const client = await webApp(url)

  client.send({ type: 'get_daemon_status', payload: {} })
  client.send({ type: 'get_session_status', payload: { sessionId: 'none' } })
  client.send({ type: 'get_nothing', payload: {} })

  const { status, payload } = await client.type('daemon_status_response')
  expect(payload).toEqual(status)
  expect(payload).toMatchObject({ activeSessions: 0, metrics: expect.any(Object), subsystems: expect.any(Object) })
  const missing = await client.next(({ code }) => code === 'session_not_found')
  expect(missing.payload).toMatchObject({ code: 'session_not_found', error: missing.error })
  expect(await client.next(({ code }) => code === 'unknown_type')).toMatchObject({ payload: { code: 'unknown_type' } })
})

test('a credential is asked for before, as at any path', async () => {
  const { url } = await startEdge({ auth: AUTH })

  await expect(webApp(url)).rejects.toThrow('401')
  const client = await webApp(url, `?token=${await token()}`)
  client.send({ type: 'ping' })
  expect(await client.type('pong')).toMatchObject({ payload: {} })
})
