/**
 * Whose sessions are, within a tenant: lists of one owner, and sessions from before owners were written down.
 */
import { randomUUID } from 'node:crypto'
import { expect, test } from 'vitest'
import { newSessionId } from '../../../src/protocol/ids.js'
import { SessionList } from '../../../src/storage/session-list.js'
import { Sessions } from '../../../src/storage/sessions.js'
import { eachDatabase } from '../../support/databases.js'

const tenantName = (): string => `t-${randomUUID()}`

function sessionOf(tenant: string, owner?: string) {
  const about = { orchestratorId: 'o', type: 'echo', bodyHash: 'h', spawn: '{}' }
  return { id: newSessionId(0), shard: 0, tenant, ...(owner !== undefined && { owner }), ...about }
}

eachDatabase((open) => {
  test('a list of one owner has its sessions only, page by page', async () => {
    const database = await open()
    const sessions = new Sessions(database)
    const list = new SessionList(database)
    const tenant = tenantName()
    const mine: string[] = []
    for (const owner of ['alice', 'bob', 'alice', 'bob', 'alice']) {
      const session = sessionOf(tenant, owner)
      await sessions.reserve(session)
      if (owner === 'alice') mine.push(session.id)
    }

    const first = await list.page(tenant, { limit: 2, owner: 'alice' })
    const rest = await list.page(tenant, { limit: 2, owner: 'alice', cursor: first.cursor })
    const everybody = await list.page(tenant, { limit: 10 })

    expect([...first.sessions, ...rest.sessions].map(({ id }) => id).sort()).toEqual(mine.sort())
    expect(rest.cursor).toBeUndefined()
    expect(everybody.sessions).toHaveLength(5)
  })

  test('a session without an owner belongs to the subject with the name of its tenant', async () => {
    const sessions = new Sessions(await open())
    const session = sessionOf(tenantName())

    await sessions.reserve(session)

    expect(await sessions.find(session.id)).toMatchObject({ owner: session.tenant })
  })

  test('an owner of another tenant with the same name sees nothing', async () => {
    const database = await open()
    await new Sessions(database).reserve(sessionOf(tenantName(), 'alice'))

    expect(await new SessionList(database).page(tenantName(), { limit: 10, owner: 'alice' })).toEqual({ sessions: [] })
  })
})
