/**
 * A whole daemon on a database of its own, and callers of its HTTP door with credentials of their own.
 */
import { afterAll } from 'vitest'
import type { ClientRole } from '../../../src/protocol/permissions.js'
import { type Database, openDatabase } from '../../../src/storage/database.js'
import { createServerDatabase } from '../../support/databases.js'
import { type RunningDaemon, settingsFolder, startWith } from '../../support/settings-fixture.js'
import { SECRET, token } from '../wire/edge-fixture.js'

export interface Reply {
  readonly status: number
  readonly headers: Headers
  // biome-ignore lint/suspicious/noExplicitAny: what comes is what the tests are about.
  readonly body: any
}

/** Somebody with a credential. */
export class Requester {
  constructor(
    readonly url: string,
    readonly headers: Readonly<Record<string, string>>,
  ) {}

  get(path: string, headers: Readonly<Record<string, string>> = {}): Promise<Reply> {
    return this.ask('GET', path, undefined, headers)
  }

  post(path: string, body?: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Reply> {
    return this.ask('POST', path, body, headers)
  }

  async ask(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Reply> {
    const response = await fetch(`${this.url}${path}`, {
      ...{ method, redirect: 'manual', headers: { ...this.headers, ...headers } },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    })
    const text = await response.text()
    const isJson = /json/.test(response.headers.get('content-type') ?? '') && text !== ''
    return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text }
  }

  /** Spawns a session that echoes, and returns its id. */
  async spawn(body: Readonly<Record<string, unknown>> = {}): Promise<string> {
    const reply = await this.post('/api/sessions', { task: '{"count":1}', sessionType: 'echo', ...body })
    if (reply.status !== 201) throw new Error(`not spawned: ${JSON.stringify(reply.body)}`)
    return reply.body.id
  }
}

export interface House {
  readonly url: string
  readonly daemon: RunningDaemon
  /** The database of the daemon, with a connection of the test's own. */
  readonly database: Database
  as(sub: string, tenant: string, role: ClientRole, scopes?: readonly string[]): Promise<Requester>
}

/** One daemon for a file of tests. */
export async function openHouse(env: Readonly<Record<string, string>> = {}): Promise<House> {
  const folder = settingsFolder()
  const server = await createServerDatabase()
  const daemon = await startWith(folder.path, {
    ...{ DATABASE_URL: server.url, DAEMON_JWT_SECRET: SECRET, DAEMON_RATE_LIMIT_ENABLED: 'false' },
    ...{ METRICS_ENABLED: 'false', LOG_LEVEL: 'warn', DAEMON_AUTH_MAX_CONNECTIONS: '1000' },
    ...env,
  })
  const database = await openDatabase({ kind: 'postgres', url: server.url, poolSize: 2, connectTimeoutMs: 5_000 })
  afterAll(async () => {
    await database.close()
    await daemon.stop()
    await server.remove()
    folder.remove()
  })
  const url = `http://127.0.0.1:${daemon.daemon.port}`
  const as: House['as'] = async (sub, tenant, role, scopes) => {
    const signed = await token({ sub, claims: { tenant, role }, ...(scopes && { scopes }) })
    return new Requester(url, { authorization: `Bearer ${signed}` })
  }
  return { url, daemon, database, as }
}

/** What each page of a list has, until there is no next one. */
export async function allPages<T>(requester: Requester, path: string, name: string): Promise<T[]> {
  const found: T[] = []
  let cursor: string | undefined
  do {
    const next = new URL(path, requester.url)
    if (cursor !== undefined) next.searchParams.set('cursor', cursor)
    const { status, body } = await requester.get(`${next.pathname}${next.search}`)
    if (status !== 200) throw new Error(JSON.stringify(body))
    found.push(...body[name])
    cursor = body.cursor
  } while (cursor !== undefined)
  return found
}
