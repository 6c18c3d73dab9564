/**
 * What memory keeps of the events of sessions: what was asked, said and done, and the facts that a summary took out of it.
 * Written by the projection in its own transaction, so everything is remembered exactly once, with the event it comes from.
 */
import { sql, type Transaction } from 'kysely'
import type { ContextCompacted, LoggedEvent, NewEvent } from '../protocol/events.js'
import { eventIdentity, memoryIdentity } from './memory-identity.js'
import { putMemories } from './memory-insertion.js'
import type { MemoryScope, NewMemory } from './memory-item.js'
import type { Schema } from './schema.js'
import type { ProjectedEvent } from './step-rows.js'

/** A session as memory needs to know it. */
export interface RememberedSession extends MemoryScope {
  readonly sessionId: string
  readonly orchestratorId: string
  /** Under which it remembers; null for the usual place. */
  readonly memoryProfile?: string | null
}

/** Of one event; the whole stands in the log. */
const MAX_CHARS = 8_000
const MAX_TOOL_CHARS = 2_000
const NAMESPACE = 'default'
const MS_PER_DAY = 86_400_000
/** What was recalled is no news. */
const NOT_REMEMBERED = /^(mcp__.*)?memory_/

/** Events of which something is remembered; the others need not be looked at. */
export const isRemembered = (type: string): boolean =>
  type === 'task_executing' || type === 'stream_end' || type === 'tool_call_result' || type === 'context_compacted'

interface Remembered {
  readonly session: RememberedSession
  readonly item: NewMemory
}

/** Pure. `days` is how long what happened is remembered; facts are for good. */
function memoriesOf(event: ProjectedEvent, session: RememberedSession, days: number): readonly NewMemory[] {
  const body = event.event ?? (JSON.parse(event.body) as LoggedEvent)
  if (body.type === 'context_compacted') return factsOf(body, event, session)
  const said = days > 0 ? saidBy(body) : undefined
  if (!said) return []
  const { sessionId, orchestratorId, memoryProfile } = session
  const validFrom = new Date(event.at)
  return [
    {
      ...{
        tier: 'episodic',
        namespace: memoryProfile ?? NAMESPACE,
        kind: said.kind,
        content: said.text,
        sessionId,
        orchestratorId,
      },
      identity: eventIdentity(event.sessionId, event.epoch, event.seq),
      validFrom,
      expiresAt: new Date(validFrom.getTime() + days * MS_PER_DAY),
      sources: [{ sessionId, ref: said.step, epoch: event.epoch, seq: event.seq }],
    },
  ]
}

interface Said {
  readonly kind: NewMemory['kind']
  readonly step: string
  readonly text: string
}

function saidBy(body: NewEvent | LoggedEvent): Said | undefined {
  switch (body.type) {
    case 'task_executing':
      return { kind: 'interaction', step: `task:${body.turn}`, text: clipped(body.task.description, MAX_CHARS) }
    case 'stream_end': {
      const text = clipped(body.text.trim(), MAX_CHARS)
      return text === '' ? undefined : { kind: 'interaction', step: `message:${body.messageId}`, text }
    }
    case 'tool_call_result': {
      const { callId, toolName, status, result, error } = body.data
      if (NOT_REMEMBERED.test(toolName)) return undefined
      const outcome = clipped(
        status === 'completed' ? JSON.stringify(result ?? {}) : (error ?? 'failed'),
        MAX_TOOL_CHARS,
      )
      return { kind: 'observation', step: `call:${callId}`, text: `${toolName}: ${outcome}` }
    }
    default:
      return undefined
  }
}

function factsOf(
  { facts }: Pick<ContextCompacted, 'facts'>,
  event: ProjectedEvent,
  { sessionId, orchestratorId, memoryProfile }: RememberedSession,
): readonly NewMemory[] {
  const place = { tier: 'semantic', namespace: memoryProfile ?? NAMESPACE } as const
  return facts.map(({ content, key, sources }) => ({
    ...{ ...place, kind: 'knowledge', content, key, sessionId, orchestratorId },
    identity: memoryIdentity({ ...place, key, content }),
    validFrom: new Date(event.at),
    sources: sources.map((ref) => ({ sessionId, ref })),
  }))
}

const clipped = (text: string, chars: number): string => (text.length > chars ? `${text.slice(0, chars)}…` : text)

/** Keeps what these events say. Scopes in the order of their names: two projections cannot wait for each other in a ring. */
export async function storeMemories(
  transaction: Transaction<Schema>,
  events: readonly ProjectedEvent[],
  days: number,
): Promise<void> {
  if (events.length === 0) return
  const sessions = await sessionsOf(transaction, [...new Set(events.map(({ sessionId }) => sessionId))])
  const remembered = events.flatMap((event): Remembered[] => {
    const session = sessions.get(event.sessionId)
    return session ? memoriesOf(event, session, days).map((item) => ({ session, item })) : []
  })
  for (const { scope, items } of byScope(remembered)) await putMemories(transaction, scope, items)
}

async function sessionsOf(
  transaction: Transaction<Schema>,
  ids: readonly string[],
): Promise<ReadonlyMap<string, RememberedSession>> {
  // Index sessions_pkey.
  const { rows } = await sql<RememberedSession>`
    select id as "sessionId", tenant, owner, orchestrator_id as "orchestratorId", memory_profile as "memoryProfile"
    from sessions
    where id = any (${ids}::text[])`.execute(transaction)
  return new Map(rows.map((row) => [row.sessionId, row]))
}

function byScope(
  remembered: readonly Remembered[],
): readonly { readonly scope: MemoryScope; readonly items: NewMemory[] }[] {
  const scopes = new Map<string, { readonly scope: MemoryScope; readonly items: NewMemory[] }>()
  for (const { session, item } of remembered) {
    const { tenant, owner } = session
    const name = JSON.stringify([tenant, owner])
    const group = scopes.get(name) ?? { scope: { tenant, owner }, items: [] }
    group.items.push(item)
    scopes.set(name, group)
  }
  return [...scopes].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, group]) => group)
}
