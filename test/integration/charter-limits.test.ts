/**
 * The limits of an organisation's charter hold for sessions: the stricter of its word and the node's, from the start and when
 * it changes.
 */
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, expect, onTestFinished, test, vi } from 'vitest'
import { startScriptedModel } from '../../scripts/demo/scripted-model.js'
import { connect, type SessionHandle } from '../../src/client/client.js'
import { PATIENCE, settingsFolder, startWith } from '../support/settings-fixture.js'

const folder = settingsFolder()
afterAll(() => folder.remove())

/** A server of the organisation; `say` changes its charter. */
async function organisation(first: object) {
  let charter = first
  const server = createServer((_request, response) => response.end(JSON.stringify(charter))).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, say: (next: object) => (charter = next) }
}

async function daemonUnder(charter: object, local = 'name: node\n') {
  const neolith = await organisation(charter)
  const file = join(folder.path, 'charter.yaml')
  writeFileSync(file, local)
  const model = await startScriptedModel()
  const running = await startWith(folder.path, {
    ...{ CHARTER_FILE: file, CHARTER_ORGANIZATION_ID: 'acme', CHARTER_SYNC_INTERVAL: '1000' },
    ...{ CHARTER_CACHE_DIR: join(folder.path, 'cache'), NEOLITH_API_URL: neolith.url, DAEMON_MAX_SESSIONS: '10' },
    ...{ OPENAI_API_KEY: 'k', OPENAI_BASE_URL: model.openaiUrl },
  })
  const client = await connect({ url: `ws://127.0.0.1:${running.daemon.port}` })
  onTestFinished(async () => {
    client.close()
    await running.stop()
    await model.stop()
  })
  return { client, neolith }
}

const SLOW = JSON.stringify({ count: 10_000, bytes: 4, delayMs: 50 })

/** A task is announced when it waits for a slot; who speaks has one. */
async function noted(session: SessionHandle, announced: Set<string>, working: Set<string>): Promise<void> {
  for await (const { type } of session) {
    if (type === 'task_executing') announced.add(session.id)
    if (type === 'stream_start') working.add(session.id)
  }
}

test('G-04: slots and concurrent tasks are those of the stricter charter, and follow it while sessions run', async () => {
  const { client, neolith } = await daemonUnder(
    { version: 1, resourceLimits: { maxSessions: 6, maxConcurrentTasks: 1 } },
    'resourceLimits: {maxSessions: 4, maxConcurrentTasks: 3}\n',
  )
  const slots = async () => (await client.status()).maxSessions
  await vi.waitFor(async () => expect(await slots()).toBe(4), PATIENCE)
  const sessions = await Promise.all([1, 2].map(() => client.spawn({ task: SLOW, sessionType: 'echo' })))
  const [announced, working] = [new Set<string>(), new Set<string>()]
  for (const session of sessions) void noted(session, announced, working)
  await vi.waitFor(() => expect([announced.size, working.size]).toEqual([2, 1]), PATIENCE)

  neolith.say({ version: 2, resourceLimits: { maxSessions: 3, maxConcurrentTasks: 2 } })

  await vi.waitFor(async () => expect([await slots(), working.size]).toEqual([3, 2]), PATIENCE)
  await Promise.all(sessions.map((session) => session.stop()))
})

test('tokens of a session are those that the organisation grants, also when it changes its mind', async () => {
  const { client, neolith } = await daemonUnder({ version: 1, resourceLimits: { maxTokensPerSession: 1_000_000 } })
  const session = await client.spawn({ task: 'Count to 3', sessionType: 'llm' })
  expect(await session.result()).toMatchObject({ type: 'task_completed' })

  neolith.say({ version: 2, resourceLimits: { maxTokensPerSession: 1 } })

  await vi.waitFor(async () => expect(await session.execute('Count to 3')).toMatchObject({ code: 'budget_exceeded' }), {
    ...PATIENCE,
    interval: 250,
  })
})

test('a context that the organisation makes smaller is too small for a conversation that fitted', async () => {
  const { client } = await daemonUnder({ version: 1, memory: { maxContextTokens: 210 } })

  const session = await client.spawn({ task: 'Count to 3', sessionType: 'llm' })

  expect(await session.result()).toMatchObject({ type: 'task_failed', code: 'context_too_small' })
})
