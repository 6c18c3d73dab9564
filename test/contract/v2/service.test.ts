/**
 * Row V2: memory, settings, health and the protocol's own description.
 */
import { expect, test, vi } from 'vitest'
import type { AuditNote } from '../../../src/edge/dependencies.js'
import type { MemoryRow } from '../../../src/edge/http/sources.js'
import type { V2Sources } from '../../../src/edge/v2/sources.js'
import { METHOD_NAMES } from '../../../src/protocol/v2/methods.js'
import { AUTH, startEdge, token } from '../wire/edge-fixture.js'
import { connectParams, connectV2 } from './v2-fixture.js'

const FOUND: MemoryRow = {
  ...{ id: 'mem_1', tier: 'semantic', kind: 'knowledge', namespace: 'default', key: null, content: 'the sky is blue' },
  ...{ tags: [], metadata: { by: 'me' }, validFrom: '2026-01-01T00:00:00.000Z', validTo: null, sessionId: null },
}

function memoryOf(more: Partial<V2Sources['memory']> = {}) {
  return {
    search: vi.fn<V2Sources['memory']['search']>(async () => [
      { ...FOUND, score: 0.9 },
      { ...FOUND, id: 'mem_2', score: 0.3 },
    ]),
    store: vi.fn<V2Sources['memory']['store']>(async () => ({ id: 'mem_3' })),
    forget: vi.fn<V2Sources['memory']['forget']>(async (_holder, id) => (id === 'mem_1' ? 1 : 0)),
    ...more,
  }
}

test('memory.query finds in the memory of whoever asks, above the threshold where one is named', async () => {
  const memory = memoryOf()
  const { url } = await startEdge({ v2: { memory } })
  const client = await connectV2(url)

  const all = await client.ask('memory.query', { query: 'sky', tier: 'semantic', limit: 5 })
  const good = await client.ask('memory.query', { query: 'sky', similarityThreshold: 0.7 })

  expect(all).toMatchObject({ total: 2, memories: [{ memoryId: 'mem_1', type: 'knowledge', score: 0.9 }, {}] })
  expect(good).toMatchObject({ total: 1, memories: [{ memoryId: 'mem_1', content: 'the sky is blue' }] })
  expect(memory.search).toHaveBeenCalledWith(
    { tenant: 'local', owner: 'local' },
    { query: 'sky', tiers: ['semantic'], sessionId: undefined, limit: 5 },
  )
})

test('memory.store remembers for a session, and memory.delete forgets', async () => {
  const memory = memoryOf()
  const notes: AuditNote[] = []
  const { url } = await startEdge({ v2: { memory }, onNoted: (note) => notes.push(note) })
  const client = await connectV2(url)
  const { id: sessionId } = await client.ask('session.create', {
    ...{ orchestratorId: 'planner', sessionType: 'echo', task: { description: 'wait' } },
  })

  const stored = await client.ask('memory.store', { content: 'grass is green', tier: 'episodic', sessionId })
  const forgotten = await client.ask('memory.delete', { memoryId: 'mem_1' })

  expect(stored).toEqual({ memoryId: 'mem_3', tier: 'episodic' })
  expect(memory.store).toHaveBeenCalledWith(
    { tenant: 'local', owner: 'local' },
    expect.objectContaining({ content: 'grass is green', kind: 'observation', sessionId, orchestratorId: 'planner' }),
  )
  expect(forgotten).toEqual({ memoryId: 'mem_1', deleted: true })
  expect(await client.refusal('memory.delete', { memoryId: 'mem_9' })).toMatchObject({ code: 'NOT_FOUND' })
  expect(await client.refusal('memory.store', { content: 'x', tier: 'semantic', sessionId: 'none' })).toMatchObject({
    code: 'NOT_FOUND',
  })
  const who = { tenant: 'local', actor: 'local' }
  expect(notes, 'what has changed, by whom, and not what it says').toEqual([
    { ...who, action: 'memory.store', sessionId, subject: 'mem_3', detail: { tier: 'episodic', kind: 'observation' } },
    { ...who, action: 'memory.delete', sessionId: undefined, subject: 'mem_1', detail: {} },
  ])
})

const settings: V2Sources['settings'] = {
  read: () =>
    new Map([
      ['LOG_LEVEL', 'info'],
      ['REDIS_URL', undefined],
    ]),
  async change(values) {
    const names = Object.keys(values)
    const applied = names.filter((name) => name === 'LOG_LEVEL')
    const changes = applied.map((name) => ({ setting: name, from: 'info', to: String(values[name]) }))
    return { applied, needRestart: names.filter((name) => name !== 'LOG_LEVEL'), changes }
  },
}

test('config.get tells the settings, all or those that are named', async () => {
  const { url } = await startEdge({ v2: { settings } })
  const client = await connectV2(url)

  expect(await client.ask('config.get', { all: true })).toEqual({ values: { LOG_LEVEL: 'info', REDIS_URL: null } })
  expect(await client.ask('config.get', { keys: ['LOG_LEVEL', 'NONE'] })).toEqual({ values: { LOG_LEVEL: 'info' } })
})

test('config.set tells what took effect and what needs a restart, and is noted with who asked', async () => {
  const notes: AuditNote[] = []
  const change = vi.fn(settings.change)
  const { url } = await startEdge({ v2: { settings: { ...settings, change } }, onNoted: (note) => notes.push(note) })
  const client = await connectV2(url)
  const changes = [{ setting: 'LOG_LEVEL', from: 'info', to: 'debug' }]

  expect(await client.ask('config.set', { values: { LOG_LEVEL: 'debug', REDIS_URL: 'x' } })).toEqual({
    ...{ applied: ['LOG_LEVEL'], needRestart: ['REDIS_URL'], changes },
  })
  expect(await client.refusal('config.set', { values: { REDIS_URL: 'x' }, merge: false })).toMatchObject({
    ...{ code: 'UNAVAILABLE', message: expect.stringContaining('REDIS_URL') },
  })
  const by = { tenant: 'local', subject: 'local' }
  expect(change.mock.calls.map(([, how]) => how)).toEqual([
    { merge: true, by },
    { merge: false, by },
  ])
  expect(notes).toEqual([
    {
      ...{ tenant: 'local', actor: 'local', action: 'config.set', sessionId: undefined, subject: 'LOG_LEVEL' },
      detail: { changes, needRestart: ['REDIS_URL'], merge: true },
    },
  ])
})

test('settings are nothing for a user, and only an administrator changes them', async () => {
  const { url } = await startEdge({ auth: AUTH, v2: { settings } })
  const as = async (role: string) => connectV2(`${url}/v2`, connectParams(await token({ claims: { role } })))
  const [user, readonly, admin] = await Promise.all(['user', 'readonly', 'admin'].map(as))
  const change = { values: { LOG_LEVEL: 'debug' } }

  expect(await user?.refusal('config.get')).toMatchObject({ code: 'FORBIDDEN' })
  expect(await user?.refusal('config.set', change)).toMatchObject({ code: 'FORBIDDEN' })
  expect(await readonly?.ask('config.get')).toMatchObject({ values: { LOG_LEVEL: 'info' } })
  expect(await readonly?.refusal('config.set', change)).toMatchObject({ code: 'FORBIDDEN' })
  expect(await admin?.ask('config.set', change)).toMatchObject({ applied: ['LOG_LEVEL'] })
})

test('health.ping answers with both clocks, and health.status with all parts', async () => {
  const { url } = await startEdge()
  const client = await connectV2(url)

  expect(await client.ask('health.ping', { clientTimestamp: 42 })).toEqual({
    ...{ serverTimestamp: expect.any(Number), clientTimestamp: 42 },
  })
  expect(await client.ask('health.status')).toEqual({
    ...{ status: 'running', uptime: expect.any(Number), activeSessions: 0, connectedClients: 1 },
    subsystems: { bus: { status: 'running', lastCheckAt: expect.any(String) } },
    metrics: {
      ...{ totalSessionsSpawned: 0, totalTokensUsed: 0, averageResponseTimeMs: expect.any(Number), successRate: 1 },
    },
  })
})

test('rpc.discover lists every method and event with its schema, and rpc.describe one of them', async () => {
  const { url } = await startEdge()
  const client = await connectV2(url)

  const all = await client.ask('rpc.discover')
  const short = await client.ask('rpc.discover', { includeSchemas: false })
  const one = await client.ask('rpc.describe', { method: 'prompt.submit' })

  expect(all.protocolVersion).toBe(2)
  expect(all.methods.map(({ name }: { name: string }) => name)).toEqual(METHOD_NAMES)
  for (const method of all.methods) expect(method.paramsSchema, method.name).toMatchObject({ type: 'object' })
  expect(short.methods[0].paramsSchema).toBeNull()
  expect(all.events).toContainEqual(expect.objectContaining({ name: 'health.heartbeat', requiresSubscription: false }))
  expect(one).toMatchObject({
    ...{ name: 'prompt.submit', domain: 'prompt', streaming: true, idempotent: false },
    ...{
      requiredScopes: ['daemon.write'],
      paramsSchema: { required: expect.arrayContaining(['sessionId', 'prompt']) },
    },
  })
  expect(await client.refusal('rpc.describe', { method: 'dance' })).toMatchObject({ code: 'INVALID_REQUEST' })
})
