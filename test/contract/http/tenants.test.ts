/**
 * Tenants and owners: for every verb at every door and for every endpoint, what belongs to others cannot be told from what
 * does not exist, and nothing of it changes.
 */
import { sql } from 'kysely'
import { beforeAll, describe, expect, test, vi } from 'vitest'
import { newApprovalId } from '../../../src/protocol/ids.js'
import { ENDPOINT_NAMES, type EndpointName } from '../../../src/protocol/rest/endpoints.js'
import { Approvals } from '../../../src/storage/approvals.js'
import { MemoryItems } from '../../../src/storage/memory-items.js'
import { Workspaces } from '../../../src/storage/workspaces.js'
import {
  type Asker,
  missingThings,
  PAYLOADS,
  rawAsker,
  request,
  socketIoAsker,
  type Things,
  VERBS,
} from './every-request.js'
import { type House, openHouse, type Requester } from './http-fixture.js'

const PATIENCE = { timeout: 15_000, interval: 20 } as const
/** Stands in everything that the owner has. */
const SECRET_WORD = 'zanzibar'

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
  theirs = { sessionId, scheduleId: later.body.scheduleId, approvalId, word: SECRET_WORD }
  await vi.waitFor(
    async () => expect((await owner.get(`/api/sessions/${sessionId}/turns`)).body.turns).toHaveLength(1),
    PATIENCE,
  )
})

const missing = (): Things => missingThings(SECRET_WORD)

/** Without what only says which thing was asked for. */
const anonymous = (text: string, { sessionId, scheduleId, approvalId }: Things): string =>
  text
    .replaceAll(sessionId, 'SESSION')
    .replaceAll(scheduleId, 'SCHEDULE')
    .replaceAll(approvalId, 'APPROVAL')
    .replace(/"commandId":"[^"]*"/g, '"commandId":"COMMAND"')
    .replace(/cmd_\w+/g, 'COMMAND')

async function answerTo(asker: Requester, name: EndpointName, things: Things): Promise<string> {
  const { status, text } = await request(asker, name, things)
  return anonymous(`${status} ${text}`, things)
}

/**
 * Everything that stands in the database about the owner's tenant or session, row by row. Not what the bus writes down for
 * itself, such as how far it has been trimmed, nor who asked, which is noted elsewhere.
 */
async function owned(): Promise<readonly string[]> {
  const { rows: columns } = await sql<{ table_name: string; column_name: string }>`
    select table_name, column_name from information_schema.columns
    where table_schema = 'public' and column_name in ('tenant', 'session', 'session_id') 
      and table_name <> 'audit_log' and table_name not like 'bus\\_%'
    order by column_name desc
  `.execute(house.database.sql)
  const found: string[] = []
  for (const { table_name: table, column_name: column } of columns) {
    const value = column === 'tenant' ? 'acme' : theirs.sessionId
    const { rows } = await sql<{ row: string }>`
      select t::text as row from ${sql.table(table)} t where ${sql.ref(column)} = ${value} order by 1
    `.execute(house.database.sql)
    found.push(...rows.map(({ row }) => `${table} ${row}`))
  }
  return [...new Set(found)]
}

/** The same, once what runs in the background has come to an end. */
async function settled(): Promise<readonly string[]> {
  let last = await owned()
  await vi.waitFor(
    async () => {
      const before = last
      last = await owned()
      expect(last).toEqual(before)
    },
    { timeout: 20_000, interval: 500 },
  )
  return last
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

/** Verbs that say something about everybody, or about whoever asks. */
const ABOUT_NOBODY = new Set(['daemon_status', 'token_refresh', 'spawn_session', 'route_task', 'health_check', 'ping'])
/** Verbs whose answer to what is not there is an empty list. */
const LISTS = new Set(['list_sessions'])

const DOORS: readonly (readonly [string, (requester: Requester) => Promise<Asker>])[] = [
  ['raw WebSocket', rawAsker],
  ['Socket.IO', socketIoAsker],
]

describe.each([
  ['the same subject of another tenant', 'alice', 'umbrella', 'admin'],
  ['another user of the tenant', 'bob', 'acme', 'user'],
] as const)('%s', (_who, sub, tenant, role) => {
  test('changes nothing of the owner by any verb or endpoint, and learns nothing', async () => {
    const asker = await house.as(sub, tenant, role)
    const before = await settled()

    for (const name of ENDPOINT_NAMES) {
      const [real, none] = [await answerTo(asker, name, theirs), await answerTo(asker, name, missing())]
      if (!ECHOING.has(name)) expect(real, name).not.toContain(SECRET_WORD)
      if (!CHANGING.has(name)) expect(real, name).toBe(none)
    }
    for (const [door, open] of DOORS) {
      const client = await open(asker)
      for (const verb of VERBS) {
        const nowhere = missing()
        const [real, none] = [await client.ask(verb, theirs), await client.ask(verb, nowhere)]
        const about = `${verb} over ${door}`
        if (ABOUT_NOBODY.has(verb)) continue
        expect(anonymous(JSON.stringify(real), theirs), about).toBe(anonymous(JSON.stringify(none), nowhere))
        if (LISTS.has(verb)) expect(real, about).toMatchObject({ sessions: [] })
        else expect(real.code, about).toMatch(/^(session|approval|schedule)_not_found$/)
      }
      expect(client.heard()).not.toContain(SECRET_WORD)
    }

    const after = await settled()
    expect(before.filter((row) => row.includes(SECRET_WORD)).length).toBeGreaterThan(4)
    expect(before.filter((row) => !after.includes(row))).toEqual([])
    // A colleague has begun sessions of its own.
    const added = after.filter((row) => !before.includes(row))
    expect(added.filter((row) => row.includes(theirs.sessionId) || row.includes('alice'))).toEqual([])
    if (tenant !== 'acme') expect(added).toEqual([])
  }, 120_000)
})

test('every verb is either about things, and then asked about those of others, or known to be about nobody', () => {
  const about = VERBS.filter((verb) => !ABOUT_NOBODY.has(verb))

  expect(about.filter((verb) => PAYLOADS[verb] === undefined)).toEqual([])
})

test('after all of that the owner finds everything as it was', async () => {
  const { body } = await owner.get(`/api/sessions/${theirs.sessionId}`)

  expect(body).toMatchObject({ status: 'active', orchestratorId: SECRET_WORD })
  expect((await owner.get(`/api/sessions/${theirs.sessionId}/tasks`)).body.tasks).toMatchObject([{ state: 'waiting' }])
  expect((await owner.get(`/api/approvals/${theirs.approvalId}`)).body).toMatchObject({ state: 'pending' })
  expect((await owner.get('/api/memory?tier=semantic')).body.memories).toMatchObject([{ content: SECRET_WORD }])
  expect((await owner.get(`/api/sessions/${theirs.sessionId}/turns`)).body.turns).toHaveLength(1)
})
