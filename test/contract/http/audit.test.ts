/**
 * What is done through the doors of a service stands in the audit log, and administrators of the tenant read it.
 */
import { beforeAll, expect, test, vi } from 'vitest'
import { verifyAudit } from '../../../src/storage/audit-chain.js'
import { AuditLog, SERVICE_CHAIN } from '../../../src/storage/audit-log.js'
import { PATIENCE } from '../../support/settings-fixture.js'
import { token } from '../wire/edge-fixture.js'
import { type House, openHouse, Requester } from './http-fixture.js'

let house: House
let admin: Requester
let alice: Requester
beforeAll(async () => {
  house = await openHouse()
  admin = await house.as('root', 'acme', 'admin')
  alice = await house.as('alice', 'acme', 'user')
})

interface Entry {
  readonly seq: number
  readonly actor: string
  readonly action: string
  readonly subject: string
  readonly sessionId: string | null
  readonly detail: Readonly<Record<string, unknown>>
}

const entries = async (query: string): Promise<Entry[]> => (await admin.get(`/api/audit?${query}`)).body.entries
const ofService = (action: string) => new AuditLog(house.database).list({ tenant: SERVICE_CHAIN, action, limit: 10 })

test('the end of a session is noted with who wanted it', async () => {
  const sessionId = await alice.spawn()

  expect(await alice.ask('DELETE', `/api/sessions/${sessionId}`)).toMatchObject({ status: 202 })

  const found = await vi.waitUntil(async () => {
    const list = await entries(`sessionId=${sessionId}`)
    return list.length > 0 && list
  }, PATIENCE)
  expect(found).toMatchObject([{ actor: 'alice', action: 'session.stop', sessionId }])
})

test('a clean-up is noted with what it ended, and not when it only looked', async () => {
  const tidy = await house.as('tidy', 'acme', 'user')
  const sessionId = await tidy.spawn()
  const cleanUp = (dryRun: boolean) => tidy.post('/api/sessions/cleanup', { idleMs: 1, dryRun })
  await vi.waitUntil(async () => (await cleanUp(true)).body.stopped.includes(sessionId), PATIENCE)

  await cleanUp(false)

  await vi.waitUntil(async () => (await entries('action=session.cleanup')).length > 0, PATIENCE)
  expect(await entries('action=session.cleanup')).toMatchObject([
    { actor: 'tidy', subject: '1', detail: { sessions: [sessionId] } },
  ])
})

test('a credential that is none, and what a role does not open, are noted once with a count', async () => {
  const stranger = new Requester(house.url, { authorization: `Bearer ${await token({ sub: 'eve', iss: 'nobody' })}` })
  for (let n = 0; n < 3; n++) expect((await stranger.get('/api/whoami')).status).toBe(401)
  for (let n = 0; n < 2; n++) expect((await alice.get('/api/audit')).status).toBe(403)

  const found = await vi.waitUntil(async () => {
    const rows = await ofService('credential')
    return rows.length > 0 && rows
  }, PATIENCE)
  expect(found).toMatchObject([
    { actor: '127.0.0.1', action: 'credential.denied', subject: 'jwt_issuer_mismatch', detail: { count: 3 } },
  ])
  await vi.waitFor(async () => {
    expect(await entries('action=access')).toMatchObject([
      { actor: 'alice', action: 'access.denied', subject: 'read_audit', detail: { count: 2 } },
    ])
  }, PATIENCE)
})

test('a page goes on where the one before ended, and shows the tenant alone', async () => {
  await new AuditLog(house.database).addAll(
    ['acme', 'acme', 'other'].map((tenant, n) => ({
      ...{ tenant, actor: 'a', action: 'page.test', sessionId: undefined, subject: String(n), detail: {} },
    })),
  )

  const [first] = await entries('action=page&limit=1')
  const [second, ...more] = await entries(`action=page&before=${first?.seq}`)

  expect([first?.subject, second?.subject, more]).toEqual(['1', '0', []])
  expect((await admin.get('/api/audit?before=0')).status).toBe(422)
})

test('every chain is whole after all that', async () => {
  const reports = await verifyAudit(house.database)

  expect(reports.filter(({ broken }) => broken)).toEqual([])
  expect(reports.map(({ tenant }) => tenant)).toEqual(expect.arrayContaining(['acme', SERVICE_CHAIN]))
})
