/**
 * what each role may do, at every door: raw WebSocket, Socket.IO, HTTP, the dashboard and the pages for operators.
 * Asked for every verb and every endpoint of the tables, and compared with the contract, written down a second time.
 */
import { beforeAll, describe, expect, test } from 'vitest'
import {
  type Action,
  CLIENT_ROLES,
  type ClientRole,
  HTTP_PERMISSIONS,
  PERMISSIONS,
  SCOPES,
  type Scope,
} from '../../../src/protocol/permissions.js'
import type { Endpoint } from '../../../src/protocol/rest/endpoint.js'
import { ENDPOINT_NAMES, ENDPOINTS, type EndpointName } from '../../../src/protocol/rest/endpoints.js'
import { type Asker, missingThings, rawAsker, request, socketIoAsker, VERBS } from './every-request.js'
import { type House, openHouse, Requester } from './http-fixture.js'

type Rule = readonly [roles: 'all' | 'works' | 'oversees' | 'rules', scope: Scope | undefined]
const ROLES: Readonly<Record<Rule[0], readonly ClientRole[]>> = {
  all: ['admin', 'user', 'readonly'],
  works: ['admin', 'user'],
  oversees: ['admin', 'readonly'],
  rules: ['admin'],
}

/** An action without a rule does not compile, and fails the first test. */
const RULES: Readonly<Record<Action, Rule>> = {
  spawn_session: ['works', 'sessions:write'],
  execute_task: ['works', 'sessions:write'],
  stop_session: ['works', 'sessions:write'],
  complete_session: ['works', 'sessions:write'],
  pause_session: ['works', 'sessions:write'],
  resume_session: ['works', 'sessions:write'],
  cancel_task: ['works', 'sessions:write'],
  cancel_scheduled: ['works', 'sessions:write'],
  route_task: ['works', 'sessions:write'],
  clean_up: ['works', 'sessions:write'],
  approval_decision: ['works', 'sessions:approve'],
  session_status: ['all', 'sessions:read'],
  list_sessions: ['all', 'sessions:read'],
  list_tasks: ['all', 'sessions:read'],
  list_approvals: ['all', 'sessions:read'],
  subscribe: ['all', 'sessions:read'],
  unsubscribe: ['all', 'sessions:read'],
  read_session: ['all', 'sessions:read'],
  read_usage: ['all', 'sessions:read'],
  read_memory: ['all', 'sessions:read'],
  write_memory: ['works', 'sessions:write'],
  daemon_status: ['all', 'daemon:read'],
  read_charter: ['all', 'daemon:read'],
  read_cluster: ['oversees', 'daemon:read'],
  read_audit: ['rules', 'daemon:read'],
  read_config: ['oversees', 'daemon:read'],
  write_config: ['rules', 'daemon:write'],
  read_credential: ['all', undefined],
  token_refresh: ['all', undefined],
  health_check: ['all', undefined],
  ping: ['all', undefined],
}

let house: House
beforeAll(async () => {
  house = await openHouse()
})

interface Credential {
  readonly role: ClientRole
  readonly scopes?: readonly string[]
}

function may({ role, scopes }: Credential, action: Action): boolean {
  const [roles, scope] = RULES[action]
  const inScope = scopes === undefined || scope === undefined || ['*', scope, action].some((it) => scopes.includes(it))
  return ROLES[roles].includes(role) && inScope
}

const WORD = 'nothing-of-this-name'
const DOORS: readonly (readonly [name: string, open: (requester: Requester) => Promise<Asker>])[] = [
  ['raw WebSocket', rawAsker],
  ['Socket.IO', socketIoAsker],
]

/** Verbs and endpoints that are not answered as the rules say. Everything is asked about things that are not there. */
async function mismatches(credential: Credential): Promise<string[]> {
  const requester = await house.as('alice', 'acme', credential.role, credential.scopes)
  const found: string[] = []
  for (const [door, open] of DOORS) {
    const asker = await open(requester)
    for (const verb of VERBS) {
      const { code } = await asker.ask(verb, missingThings(WORD))
      if ((code === 'forbidden') === may(credential, verb)) found.push(`${verb} over ${door}: ${String(code)}`)
    }
  }
  for (const name of ENDPOINT_NAMES) {
    const { action, alsoNeeds = [] }: Endpoint = ENDPOINTS[name]
    const { status } = await request(requester, name, missingThings(WORD))
    const allowed = action === undefined || [action, ...alsoNeeds].every((each) => may(credential, each))
    if (status === 401 || (status === 403) === allowed) found.push(`${name}: ${status}`)
  }
  return found
}

test('every action of the tables has a rule here, and every verb is an action', () => {
  expect(Object.keys({ ...PERMISSIONS, ...HTTP_PERMISSIONS }).sort()).toEqual(Object.keys(RULES).sort())
  expect(Object.keys(PERMISSIONS).sort()).toEqual([...VERBS].sort())
})

describe.each(CLIENT_ROLES)('A-09: %s', (role) => {
  test('may do what its role says at every door, and nothing else', async () => {
    expect(await mismatches({ role })).toEqual([])
  })

  test.each([...SCOPES, '*', 'spawn_session', 'unheard-of'])(
    'with the scope %s may do that part of it',
    async (scope) => {
      expect(await mismatches({ role, scopes: [scope] })).toEqual([])
    },
  )
})

test('what is refused for a scope that the answer needs has not happened', async () => {
  const spawner = await house.as('carol', 'acme', 'user', ['sessions:write'])
  const reader = await house.as('carol', 'acme', 'user', ['sessions:read'])

  const { status } = await spawner.post('/api/sessions', { task: '{"count":1}', sessionType: 'echo' })

  expect(status).toBe(403)
  expect((await reader.get('/api/sessions')).body.sessions).toEqual([])
})

/** Who may ask without saying who they are; written down here too. */
const OPEN: readonly EndpointName[] = ['openApi', 'docs']

test('without a credential every endpoint answers 401, but for the description of itself', async () => {
  const nobody = new Requester(house.url, {})
  const answers = await Promise.all(ENDPOINT_NAMES.map((name) => request(nobody, name, missingThings(WORD))))

  const open = ENDPOINT_NAMES.filter((_name, index) => answers[index]?.status !== 401)
  expect(open).toEqual(ENDPOINT_NAMES.filter((name) => OPEN.includes(name)))
})

test.each(CLIENT_ROLES)('the dashboard is files without secrets, the same for %s as for nobody', async (role) => {
  const [nobody, somebody] = [new Requester(house.url, {}), await house.as('alice', 'acme', role)]

  const [open, known] = [await nobody.get('/ui/'), await somebody.get('/ui/')]

  expect([open.status, open.body]).toEqual([known.status, known.body])
})

test.each(CLIENT_ROLES)('pages for operators are not at the port for clients, for %s neither', async (role) => {
  const somebody = await house.as('alice', 'acme', role)

  for (const path of ['/metrics', '/ready', '/live', '/accepting', '/loglevel']) {
    expect((await somebody.get(path)).status, path).toBe(404)
    expect((await somebody.post(path, { level: 'debug' })).status, path).toBe(404)
  }
})
