/**
 * Tenants and owners over HTTP: for every endpoint, what belongs to others cannot be told from what does not exist.
 */
import { beforeAll, describe, expect, test, vi } from 'vitest'
import { newApprovalId, newScheduleId, newSessionId } from '../../../src/protocol/ids.js'
import type { Endpoint } from '../../../src/protocol/rest/endpoint.js'
import { ENDPOINT_NAMES, ENDPOINTS, type EndpointName } from '../../../src/protocol/rest/endpoints.js'
import { Approvals } from '../../../src/storage/approvals.js'
import { MemoryItems } from '../../../src/storage/memory-items.js'
import { Workspaces } from '../../../src/storage/workspaces.js'
import { type House, openHouse, type Requester } from './http-fixture.js'

const PATIENCE = { timeout: 15_000, interval: 20 } as const
/** Stands in everything that the owner has. */
const SECRET_WORD = 'zanzibar'

interface Things {
  readonly sessionId: string
  readonly scheduleId: string
  readonly approvalId: string
}

let house: House
let owner: Requester
let theirs: Things
beforeAll(async () => {
  house = await openHouse()
  owner = await house.as('alice', 'acme', 'admin')
  const orchestratorId = SECRET_WORD
  const sessionId = await owner.spawn({ orchestratorId, task: { description: `{"count":1} ${SECRET_WORD}` } })
  const later = await owner.post(`/api/sessions/${sessionId}/tasks`, {
    task: { description: SECRET_WORD, delayMs: 3_600_000 },
  })
  await new Workspaces(house.database).save(
    sessionId,
    [{ path: SECRET_WORD, mode: 0o644, bytes: Buffer.from('x') }],
    [],
  )
  await new MemoryItems(house.database).put({ tenant: 'acme', owner: 'alice' }, [
    {
      ...{ tier: 'semantic', kind: 'knowledge', namespace: 'default', identity: 'i', content: SECRET_WORD },
      ...{ orchestratorId, validFrom: new Date() },
    },
  ])
  const approvalId = newApprovalId()
  await new Approvals(house.database).request({
    ...{ id: approvalId, tenant: 'acme', sessionId, commandId: 'c', callId: 'c', tool: SECRET_WORD, requestHash: 'h' },
    ...{ input: '{}', reason: SECRET_WORD, rule: 'r', level: 'confirm', timeoutMs: 3_600_000 },
  })
  theirs = { sessionId, scheduleId: later.body.scheduleId, approvalId }
  await vi.waitFor(
    async () => expect((await owner.get(`/api/sessions/${sessionId}/turns`)).body.turns).toHaveLength(1),
    PATIENCE,
  )
})

const missing = (): Things => ({
  ...{ sessionId: newSessionId(0), scheduleId: newScheduleId(), approvalId: newApprovalId() },
})

/** Ones without which an endpoint refuses before it looks. */
const QUERIES: Partial<Record<EndpointName, string>> = { searchMemory: `q=${SECRET_WORD}` }
const BODIES: Partial<Record<EndpointName, object>> = {
  spawnSession: { task: 'mine', sessionType: 'echo' },
  executeTask: { task: 'mine' },
  decideApproval: { decision: 'approve' },
}

function addressOf(name: EndpointName, { sessionId, scheduleId, approvalId }: Things): string {
  const values: Readonly<Record<string, string>> = {
    ...{ sessionId, scheduleId, approvalId, agentId: sessionId, channelId: 'c', path: SECRET_WORD },
  }
  const path = ENDPOINTS[name].path.replace(/\{(\w+)\*?\}/g, (_whole, parameter: string) => values[parameter] ?? 'x')
  const query = new URLSearchParams(QUERIES[name] ?? '')
  const asks: Endpoint = ENDPOINTS[name]
  if ('sessionId' in asks.query.shape) query.set('sessionId', sessionId)
  if ('orchestratorId' in asks.query.shape) query.set('orchestratorId', SECRET_WORD)
  return `${path}?${query}`
}

/** As it is answered, without what only says which thing was asked for. */
async function answerTo(asker: Requester, name: EndpointName, things: Things): Promise<string> {
  const { status, body } = await asker.ask(
    ENDPOINTS[name].method,
    addressOf(name, things),
    BODIES[name] && { ...BODIES[name] },
  )
  const text = `${status} ${JSON.stringify(body)}`
  const ids = text.replaceAll(things.sessionId, 'SESSION').replaceAll(things.scheduleId, 'SCHEDULE')
  return ids.replaceAll(things.approvalId, 'APPROVAL').replace(/cmd_\w+/g, 'COMMAND')
}

/** These answer with the moment, or with figures of the machine. */
const CHANGING = new Set<EndpointName>([
  'readStatus',
  'bridgeHealth',
  'bridgeMetrics',
  'readUsage',
  'spawnSession',
  'renewToken',
])

/** Says back which orchestrator was asked for. */
const ECHOING = new Set<EndpointName>(['readBudgets'])

describe.each([
  ['the same subject of another tenant', 'alice', 'umbrella', 'admin'],
  ['another user of the tenant', 'bob', 'acme', 'user'],
] as const)('%s', (_who, sub, tenant, role) => {
  test.each(ENDPOINT_NAMES)('learns nothing from %s', async (name) => {
    const asker = await house.as(sub, tenant, role)

    const [real, none] = [await answerTo(asker, name, theirs), await answerTo(asker, name, missing())]

    if (!ECHOING.has(name)) expect(real).not.toContain(SECRET_WORD)
    if (!CHANGING.has(name)) expect(real).toBe(none)
  })
})

test('after all of that the owner finds everything as it was', async () => {
  const { body } = await owner.get(`/api/sessions/${theirs.sessionId}`)

  expect(body).toMatchObject({ status: 'active', orchestratorId: SECRET_WORD })
  expect((await owner.get(`/api/sessions/${theirs.sessionId}/tasks`)).body.tasks).toMatchObject([{ state: 'waiting' }])
  expect((await owner.get(`/api/approvals/${theirs.approvalId}`)).body).toMatchObject({ state: 'pending' })
  expect((await owner.get('/api/memory?tier=semantic')).body.memories).toMatchObject([{ content: SECRET_WORD }])
  expect((await owner.get(`/api/sessions/${theirs.sessionId}/turns`)).body.turns).toHaveLength(1)
})
