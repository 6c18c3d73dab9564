/**
 * Who may do what: every verb, as each role, on a session of one's own, of a colleague, and of another tenant.
 */
import { describe, expect, test } from 'vitest'
import { type ClientMessageType, clientMessageSchema } from '../../../src/protocol/commands.js'
import { newSessionId } from '../../../src/protocol/ids.js'
import { CLIENT_ROLES, type ClientRole, PERMISSIONS } from '../../../src/protocol/permissions.js'
import { AUTH, type Frame, type RawClient, startEdge, token } from './edge-fixture.js'

const VERBS = clientMessageSchema.options.map((option) => option.shape.type.value)

/** What each verb names; a verb without a row fails the first test. */
const PAYLOADS: Readonly<Record<ClientMessageType, ((sessionId: string) => Frame) | undefined>> = {
  spawn_session: () => ({ task: 'wait', sessionType: 'echo' }),
  execute_task: (sessionId) => ({ sessionId, task: 'work' }),
  session_status: (sessionId) => ({ sessionId }),
  stop_session: (sessionId) => ({ sessionId }),
  complete_session: (sessionId) => ({ sessionId }),
  pause_session: (sessionId) => ({ sessionId }),
  resume_session: (sessionId) => ({ sessionId }),
  cancel_task: (sessionId) => ({ sessionId }),
  approval_decision: (sessionId) => ({ sessionId, approvalId: 'a', decision: 'approve' }),
  list_approvals: (sessionId) => ({ sessionId }),
  cancel_scheduled: () => ({ scheduleId: 'any' }),
  list_tasks: undefined,
  subscribe: (sessionId) => ({ sessionId }),
  unsubscribe: (sessionId) => ({ sessionId }),
  list_sessions: undefined,
  daemon_status: undefined,
  route_task: () => ({ task: 'where to' }),
  token_refresh: undefined,
  health_check: undefined,
  ping: undefined,
}
const NAMES_A_SESSION = VERBS.filter((type) => 'sessionId' in (PAYLOADS[type]?.('x') ?? {}))

/** The contract, written down a second time: what `user` and `readonly` may send. `admin` may send everything. */
const ALLOWED: Readonly<Record<Exclude<ClientRole, 'admin'>, readonly ClientMessageType[]>> = {
  user: VERBS,
  readonly: [
    'ping',
    'health_check',
    'session_status',
    'list_sessions',
    'list_tasks',
    'list_approvals',
    'daemon_status',
    'token_refresh',
    'subscribe',
    'unsubscribe',
  ],
}
const mayEver = (role: ClientRole, type: ClientMessageType): boolean => role === 'admin' || ALLOWED[role].includes(type)

const messageOf = (type: ClientMessageType, sessionId: string): Frame => {
  const payload = PAYLOADS[type]?.(sessionId)
  return { type, ...(payload && { payload }), commandId: `${type}-1` }
}

async function house() {
  const { client } = await startEdge({ auth: AUTH })
  const as = async (sub: string, tenant: string, role: ClientRole, scopes?: readonly string[]): Promise<RawClient> =>
    client({ token: await token({ sub, claims: { tenant, role }, ...(scopes && { scopes }) }) })
  return { as }
}

/** `done`, or the code of the refusal. */
async function outcome(asker: RawClient, type: ClientMessageType, sessionId: string): Promise<string> {
  const answer = await asker.ask(messageOf(type, sessionId))
  return answer.type === 'error' ? String(answer.code) : 'done'
}

test('every verb has a row here and in the table of permissions', () => {
  expect(Object.keys(PAYLOADS).sort()).toEqual([...VERBS].sort())
  expect(Object.keys(PERMISSIONS).sort()).toEqual([...VERBS].sort())
})

describe.each(CLIENT_ROLES)('%s', (role) => {
  test('may send exactly the verbs of its role', async () => {
    const { as } = await house()
    const asker = await as('alice', 'acme', role)
    const owner = await as('alice', 'acme', 'admin')

    for (const type of VERBS) {
      const sessionId = await owner.spawn()
      expect(await outcome(asker, type, sessionId), type).toBe(mayEver(role, type) ? 'done' : 'forbidden')
    }
  })

  test('meets sessions of a colleague as its role says', async () => {
    const { as } = await house()
    const asker = await as('alice', 'acme', role)
    const colleague = await as('bob', 'acme', 'user')
    const there = role === 'user' ? 'session_not_found' : 'done'

    for (const type of NAMES_A_SESSION) {
      const sessionId = await colleague.spawn()
      expect(await outcome(asker, type, sessionId), type).toBe(mayEver(role, type) ? there : 'forbidden')
    }
  })

  test('cannot tell a session of another tenant from one that does not exist, byte for byte', async () => {
    const { as } = await house()
    const asker = await as('alice', 'acme', role)
    // The same subject, so that nothing but the tenant is between them.
    const foreigner = await as('alice', 'umbrella', 'user')
    const foreign = await foreigner.spawn()
    const missing = newSessionId(0)

    for (const type of NAMES_A_SESSION) {
      const answers = await Promise.all(
        [foreign, missing].map(async (id) => {
          const { requestId: _own, ...answer } = await asker.ask(messageOf(type, id))
          return JSON.stringify(answer).replaceAll(id, 'ID')
        }),
      )
      expect(answers[0], type).toBe(answers[1])
      expect(answers[0]).toContain(mayEver(role, type) ? 'session_not_found' : 'forbidden')
    }
    expect(asker.eventIds(foreign)).toEqual([])
    expect(await foreigner.ask({ type: 'session_status', payload: { sessionId: foreign } })).toMatchObject({
      session: { status: 'active' },
    })
  })
})

test('a list shows a user its own sessions, and an administrator all of its tenant and no other', async () => {
  const { as } = await house()
  const [alice, bob, carol] = [
    await as('alice', 'acme', 'user'),
    await as('bob', 'acme', 'user'),
    await as('alice', 'umbrella', 'user'),
  ]
  const [one, two] = [await alice.spawn(), await bob.spawn()]
  await carol.spawn()

  const listed = async (asker: RawClient): Promise<unknown[]> => {
    const { sessions } = await asker.ask({ type: 'list_sessions' })
    return (sessions as { id: string }[]).map(({ id }) => id).sort()
  }

  expect(await listed(alice)).toEqual([one])
  expect(await listed(bob)).toEqual([two])
  expect(await listed(await as('root', 'acme', 'admin'))).toEqual([one, two].sort())
  expect(await listed(await as('eve', 'acme', 'readonly'))).toEqual([one, two].sort())
})

test('a colleague cannot join a session by guessing its idempotency key', async () => {
  const { as } = await house()
  const [alice, bob] = [await as('alice', 'acme', 'user'), await as('bob', 'acme', 'user')]

  const first = await alice.spawn({ idempotencyKey: 'nightly' })
  const again = await alice.ask({
    type: 'spawn_session',
    commandId: 'again',
    payload: { task: 'wait', sessionType: 'echo', idempotencyKey: 'nightly' },
  })
  const other = await bob.spawn({ idempotencyKey: 'nightly' })

  expect(again).toMatchObject({ sessionId: first })
  expect(other).not.toBe(first)
})

test('scopes narrow what a role may do, and never widen it', async () => {
  const { as } = await house()
  const reader = await as('alice', 'acme', 'user', ['sessions:read'])
  const spawner = await as('alice', 'acme', 'user', ['spawn_session'])
  const nobody = await as('alice', 'acme', 'admin', [])
  const pretender = await as('alice', 'acme', 'readonly', ['*'])
  const sessionId = await spawner.spawn()

  expect(await outcome(reader, 'session_status', sessionId)).toBe('done')
  expect(await outcome(reader, 'stop_session', sessionId)).toBe('forbidden')
  expect(await outcome(spawner, 'session_status', sessionId)).toBe('forbidden')
  expect(await outcome(nobody, 'daemon_status', sessionId)).toBe('forbidden')
  expect(await outcome(nobody, 'ping', sessionId)).toBe('done')
  expect(await outcome(pretender, 'stop_session', sessionId)).toBe('forbidden')
})

test('a renewed token has the role and the scopes of the old one', async () => {
  const { client } = await startEdge({ auth: AUTH })
  const narrow = await token({ claims: { tenant: 'acme', role: 'readonly' }, scopes: ['daemon:read'] })
  const raw = await client({ token: narrow })

  const { token: renewed } = await raw.ask({ type: 'token_refresh' })
  const again = await client({ token: String(renewed) })

  expect(await again.ask({ type: 'daemon_status' })).toMatchObject({ type: 'daemon_status_response' })
  expect(await again.ask({ type: 'list_sessions' })).toMatchObject({ code: 'forbidden' })
})
