/**
 * Sessions, prompts and approvals: each method is one or two messages of the first protocol, through the same dispatch.
 */
import type { ClientMessage } from '../../protocol/commands.js'
import { ServiceError } from '../../protocol/errors.js'
import { LOG_START, newCommandId, newTaskId } from '../../protocol/ids.js'
import { maySend, seesTenant } from '../../protocol/permissions.js'
import type { Session } from '../../protocol/session.js'
import { roleOf, sessionInfo, sessionStatusOf } from '../../protocol/v2/shapes.js'
import { type Caller, command, sessionOf, taskIdOf } from '../caller.js'
import type { Asked, Handlers, Outcome, Peer } from './asked.js'
import { standingOf } from './standing.js'

type SpawnPayload = Extract<ClientMessage, { readonly type: 'spawn_session' }>['payload']

/** Sessions of one page that is read on the way to an offset: the largest that there are. */
const STEP = 200
/** Filtered pages may be nearly empty; what lies behind so many is reached with `cursor`. */
const MAX_STEPS = 64

export const SESSION_METHODS: Handlers<
  | 'session.create'
  | 'session.resume'
  | 'session.stop'
  | 'session.list'
  | 'session.status'
  | 'prompt.submit'
  | 'prompt.cancel'
  | 'tool.approve'
  | 'tool.deny'
> = {
  'session.create': async ({ params: { subscribe, ...payload }, caller, peer }) => {
    const session = await spawned(caller, payload)
    return { payload: sessionInfo(session), after: subscribe ? fromTheBeginning(peer, session) : undefined }
  },
  'session.resume': async ({ params: { sessionId, subscribe, from }, caller, peer, parts }) => {
    const standing = await standingOf(parts, caller, sessionId)
    const isPaused = standing.session.status === 'paused'
    if (isPaused) await command(caller, { type: 'resume_session', payload: { sessionId } }, undefined)
    const session = isPaused ? await sessionOf(caller, sessionId) : standing.session
    return {
      payload: { ...sessionInfo(session), eventId: standing.eventId },
      after: subscribe ? () => peer.follow(sessionId, { standing, from, whole: true }) : undefined,
    }
  },
  'session.stop': async ({ params: { sessionId }, caller }) => ({ payload: await stopped(caller, sessionId) }),
  'session.list': listed,
  'session.status': async ({ params, caller }) => ({ payload: sessionInfo(await sessionOf(caller, params.sessionId)) }),
  'prompt.submit': submitted,
  'prompt.cancel': async ({ params: { sessionId, promptId }, caller }) => {
    const payload = { sessionId, taskId: promptId }
    await command(caller, { type: 'cancel_task', payload }, undefined)
    return { payload: { sessionId, promptId: promptId ?? null, cancelled: true } }
  },
  'tool.approve': async ({ params: { sessionId, requestId, modifiedInput }, caller }) => {
    if (modifiedInput !== undefined) {
      throw refused('modifiedInput: what was judged is what runs; deny it, and say as the reason what to do instead')
    }
    return await decided(caller, sessionId, requestId, 'approve', undefined)
  },
  'tool.deny': ({ params: { sessionId, requestId, reason }, caller }) =>
    decided(caller, sessionId, requestId, 'reject', reason),
}

/** Spawns a session, or finds the one that its key stands for. */
export async function spawned(caller: Caller, payload: SpawnPayload): Promise<Session> {
  // The answer shows it: whoever may not look is refused before there is anything.
  if (!maySend(caller.principal, 'session_status'))
    throw new ServiceError('forbidden', { action: 'see what it spawns' })
  const message = { type: 'spawn_session', commandId: newCommandId(), payload } as const
  const { sessionId } = await caller.ask(message, 'command_accepted')
  return await sessionOf(caller, sessionId)
}

/** Everything of a new session is told. */
export const fromTheBeginning = (peer: Peer, session: Session) => (): void =>
  peer.follow(session.id, {
    standing: { session: { ...session, task: null }, role: roleOf(session.task), eventId: LOG_START },
    whole: true,
  })

export async function stopped(caller: Caller, sessionId: string) {
  await command(caller, { type: 'stop_session', payload: { sessionId } }, undefined)
  return { sessionId, status: 'terminated', stopped: true }
}

/** Gives a session a task under the client's key, or one of ours; the same key makes the same task. */
export async function prompted(
  caller: Caller,
  sessionId: string,
  task: { readonly description: string; readonly metadata?: Record<string, unknown> | undefined },
  about: { readonly key: string | undefined; readonly context?: Record<string, unknown> | undefined },
) {
  const { key, context } = about
  const id = key === undefined ? newTaskId() : taskIdOf(sessionId, key)
  const payload = { sessionId, task: { ...task, id, type: 'general', priority: 'medium' }, context } as const
  const { commandId, duplicate } = await command(caller, { type: 'execute_task', payload }, key)
  return { promptId: id, sessionId, commandId, duplicate }
}

async function submitted({ params, caller, peer, parts }: Asked<'prompt.submit'>): Promise<Outcome> {
  const { sessionId, prompt, context, stream, model, maxTokens, idempotencyKey: key } = params
  if (model !== undefined || maxTokens !== undefined) {
    throw refused('model and maxTokens hold for a whole session; name options.model with session.create')
  }
  // Looked at before the prompt is on its way: whatever comes of it comes behind this.
  const isNew = stream && !peer.watches.isWatched(sessionId)
  const standing = isNew ? await standingOf(parts, caller, sessionId) : undefined
  const payload = await prompted(caller, sessionId, { description: prompt }, { key, context })
  if (standing) return { payload, after: () => peer.follow(sessionId, { standing, whole: true }) }
  return { payload, after: stream ? () => peer.watches.keep(sessionId, true) : undefined }
}

async function listed({ params, caller, principal, parts }: Asked<'session.list'>): Promise<Outcome> {
  const { status, limit, offset } = params
  const statuses = status === undefined ? undefined : [sessionStatusOf(status)]
  const owner = seesTenant(principal.role) ? undefined : principal.subject
  let { cursor } = params
  for (let [left, steps] = [offset, 0]; left > 0 && steps < MAX_STEPS; steps++) {
    const skipped = await page(caller, { statuses, limit: Math.min(left, STEP), cursor })
    left -= skipped.sessions.length
    cursor = skipped.cursor
    if (cursor === undefined) break
  }
  const isBeyond = offset > 0 && cursor === undefined
  const found: ListedPage = isBeyond ? { sessions: [] } : await page(caller, { statuses, limit, cursor })
  const total = await parts.rows.countByTenant(principal.tenant, { owner, statuses })
  const next = found.cursor === undefined ? {} : { cursor: found.cursor }
  return { payload: { sessions: found.sessions.map(sessionInfo), total, limit, offset, ...next } }
}

interface ListedPage {
  readonly sessions: readonly Session[]
  readonly cursor?: string
}
type ListPayload = NonNullable<Extract<ClientMessage, { readonly type: 'list_sessions' }>['payload']>

const page = (caller: Caller, payload: ListPayload) => caller.ask({ type: 'list_sessions', payload }, 'sessions_list')

async function decided(
  caller: Caller,
  sessionId: string,
  approvalId: string,
  decision: 'approve' | 'reject',
  comment: string | undefined,
): Promise<Outcome> {
  const payload = { sessionId, approvalId, decision, comment }
  await command(caller, { type: 'approval_decision', payload }, undefined)
  return { payload: { sessionId, requestId: approvalId, decision } }
}

const refused = (reason: string): ServiceError => new ServiceError('invalid_payload', { reason })
