/**
 * The settings of the charter take effect.
 */
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, expect, vi } from 'vitest'
import { countingVendor } from '../support/counting-vendor.js'
import {
  effect,
  type Frame,
  liveEffect,
  PATIENCE,
  RawClient,
  settingsFolder,
  startWith,
} from '../support/settings-fixture.js'

const folder = settingsFolder()

afterAll(() => folder.remove())

effect(
  ['CHARTER_FILE'],
  'a charter that is wrong keeps the daemon from starting, with file, line and field',
  async () => {
    const file = join(folder.path, 'wrong.yaml')
    writeFileSync(file, 'name: x\nresourceLimits:\n  maxSessions: many\n')

    const start = startWith(folder.path, { CHARTER_FILE: file })

    await expect(start).rejects.toThrow(`${file}:3: resourceLimits.maxSessions: `)
  },
)

effect(['CHARTER_FILE'], 'a good one is used, and what matches nothing is said aloud', async () => {
  const file = join(folder.path, 'good.yaml')
  writeFileSync(file, 'name: careful\nsafetyHeuristics: {alwaysReject: [Wishful thinking]}\n')

  const { lines, stop } = await startWith(folder.path, { CHARTER_FILE: file })

  expect(lines.join('\n')).toContain('\\"Wishful thinking\\" in alwaysReject matches nothing')
  expect(lines.join('\n')).toMatch(/"name":"careful".*the charter holds for every session/)
  await stop()
})

effect(
  ['CHARTER_ORGANIZATION_ID', 'CHARTER_SYNC_INTERVAL', 'CHARTER_CACHE_DIR', 'NEOLITH_API_URL', 'NEOLITH_API_KEY'],
  'the charter of the organisation is fetched again and again, and kept',
  async () => {
    const asked: string[] = []
    const server = createServer((request, response) => {
      asked.push(`${request.url} ${request.headers.authorization}`)
      response.end(JSON.stringify({ name: 'Acme', version: asked.length }))
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    const cache = join(folder.path, 'cache')

    const { stop } = await startWith(folder.path, {
      ...{ CHARTER_ORGANIZATION_ID: 'acme', CHARTER_SYNC_INTERVAL: '1000', CHARTER_CACHE_DIR: cache },
      ...{ NEOLITH_API_URL: `http://127.0.0.1:${port}`, NEOLITH_API_KEY: 'vp_1' },
    })

    await vi.waitFor(() => expect(asked.length).toBeGreaterThan(1), PATIENCE)
    expect(asked[0]).toBe('/api/organizations/acme/charter Bearer vp_1')
    const kept = () => JSON.parse(readFileSync(join(cache, 'acme.json'), 'utf8')) as unknown
    await vi.waitFor(() => expect(kept()).toMatchObject({ name: 'Acme' }), PATIENCE)
    await stop()
    server.close()
  },
)

const MODEL_MS = 600
const charterOn = async (port: number | undefined): Promise<Frame> =>
  ((await (await fetch(`http://127.0.0.1:${port}/api/charter`)).json()) as { charter: Frame }).charter

effect(
  ['ORCHESTRATOR_NAME', 'ORCHESTRATOR_TIER', 'ORCHESTRATOR_MAX_TOKENS', 'ORCHESTRATOR_MAX_CONCURRENT'],
  'they stand in the place of what the charter says, whichever it is',
  async () => {
    const file = join(folder.path, 'tier.yaml')
    writeFileSync(file, 'name: own\ntier: 3\nresourceLimits: {maxTokensPerSession: 7, maxSessions: 4}\n')
    const settings = { ORCHESTRATOR_NAME: 'ada', ORCHESTRATOR_TIER: '2', ORCHESTRATOR_MAX_TOKENS: '50000' }
    for (const CHARTER_FILE of [file, '']) {
      const { daemon, stop } = await startWith(folder.path, {
        ...{ ...settings, ORCHESTRATOR_MAX_CONCURRENT: '9', CHARTER_FILE, HOME: folder.path },
      })
      const charter = await charterOn(daemon.port)
      await stop()

      expect(charter).toMatchObject({
        ...{ name: 'ada', tier: 2, resourceLimits: { maxTokensPerSession: 50_000, maxConcurrentTasks: 9 } },
      })
      if (CHARTER_FILE !== '') expect(charter).toMatchObject({ resourceLimits: { maxSessions: 4 } })
    }
  },
)

liveEffect(
  ['ORCHESTRATOR_NAME', 'ORCHESTRATOR_TIER', 'ORCHESTRATOR_MAX_TOKENS', 'ORCHESTRATOR_MAX_CONCURRENT'],
  'a session is at its end with less, and of two turns one waits',
  async () => {
    const vendor = await countingVendor(60, 40, MODEL_MS)
    const OPENAI = { OPENAI_API_KEY: 'k', OPENAI_BASE_URL: vendor.url }
    const { daemon, reload, stop } = await startWith(folder.path, { ...OPENAI, DAEMON_RATE_LIMIT_ENABLED: 'false' })
    const client = await RawClient.connect(`ws://127.0.0.1:${daemon.port}`)
    const all = (type: string) => client.frames.filter((frame) => frame.type === type)
    const spawn = (orchestratorId: string) =>
      client.send({
        type: 'spawn_session',
        payload: { orchestratorId, task: { description: 'x' }, sessionType: 'llm' },
      })
    spawn('one')
    spawn('two')
    await vi.waitUntil(() => all('task_completed').length === 2, PATIENCE)

    await reload({ ORCHESTRATOR_NAME: 'eve', ORCHESTRATOR_TIER: '3', ORCHESTRATOR_MAX_CONCURRENT: '1' })
    expect(await charterOn(daemon.port)).toMatchObject({ name: 'eve', tier: 3 })
    const [one, two] = all('task_completed')
    for (const ended of [one, two]) {
      client.send({ type: 'execute_task', payload: { sessionId: ended?.sessionId, task: { description: 'x' } } })
    }
    await vi.waitUntil(() => all('task_completed').length === 3, PATIENCE)
    const firstAt = performance.now()
    await vi.waitUntil(() => all('task_completed').length === 4, { ...PATIENCE, interval: 5 })
    // The model takes its time for each: two turns at once would end together.
    expect(performance.now() - firstAt).toBeGreaterThan(MODEL_MS / 2)

    await reload({ ORCHESTRATOR_MAX_TOKENS: '150' })
    const [first] = all('task_completed')
    client.send({ type: 'execute_task', payload: { sessionId: first?.sessionId, task: { description: 'x' } } })
    expect(await client.frame('task_failed')).toMatchObject({ code: 'budget_exceeded' })
    client.close()
    await stop()
    vendor.stop()
  },
)
