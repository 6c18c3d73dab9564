/**
 * Spawning: place the session, mint its id, reserve its row, hand the spawn to the shard. Every step may be repeated by
 * anybody who retries, with the same outcome: the row decides which session a key stands for.
 */
import { createHash } from 'node:crypto'
import type { SpawnCommand } from '../bus/command.js'
import { ServiceError } from '../protocol/errors.js'
import { newSessionId, type SessionId } from '../protocol/ids.js'
import type { Holder } from '../protocol/permissions.js'
import { isTerminal, newTask, type SessionType } from '../protocol/session.js'
import { contextOf } from '../protocol/traceparent.js'
import { commandAccepted } from './acceptance-reply.js'
import type { Client } from './client.js'
import { type Message, requestIdOf } from './message.js'
import type { NewSessionRow, SessionRow, SessionRows } from './rows.js'
import type { SessionDirectory } from './session-directory.js'
import type { SessionPlacement } from './session-placement.js'
import type { Asker, Submissions } from './submissions.js'
import { START } from './subscription.js'
import type { Subscriptions } from './subscriptions.js'

type SpawnMessage = Message<'spawn_session'>

/** Needs no other program on the worker's machine. */
const DEFAULT_TYPE: SessionType = 'llm'
/** A key made of the task's id holds no longer: clients of the reference call every task `task-1`. */
const TASK_KEY_HOLDS_MS = 24 * 60 * 60 * 1000
/** Each round frees a key that an ended session held; others may be faster, but not for ever. */
const MAX_RESERVE_ROUNDS = 5

export interface SpawnDependencies {
  readonly sessions: SessionRows
  readonly directory: SessionDirectory
  readonly placement: SessionPlacement
  readonly subscriptions: Subscriptions
  readonly submissions: Submissions
}

interface SpawnKey {
  readonly text: string
  /** True for a key that the client chose for this purpose. */
  readonly explicit: boolean
}

type Reservation =
  | { readonly status: 'new'; readonly id: SessionId; readonly spawn: string }
  | { readonly status: 'existing'; readonly row: SessionRow }

export class Spawn {
  readonly #deps: SpawnDependencies

  constructor(deps: SpawnDependencies) {
    this.#deps = deps
  }

  /** @throws ServiceError `idempotency_conflict`, or `max_sessions` when every worker is at work as much as it may. */
  async carryOut(client: Client, message: SpawnMessage): Promise<void> {
    // Asked before the row is made: a refused spawn must leave nothing that a worker would find and run.
    this.#deps.submissions.checkRoom(client)
    if (this.#deps.placement.isFull()) throw new ServiceError('max_sessions')
    const asker: Asker = {
      client,
      requestId: requestIdOf(message),
      commandId: message.commandId,
      traceparent: contextOf(message),
    }
    const reservation = await this.#reserve(client.principal, message, asker)
    if (reservation.status === 'new') {
      this.#submit(reservation.id, reservation.spawn, true, client, asker)
    } else if (reservation.row.submitted) {
      this.#join(reservation.row.id, client, asker)
    } else {
      this.#submit(reservation.row.id, reservation.row.spawn, false, client, asker)
    }
  }

  #submit(id: SessionId, spawn: string, fresh: boolean, client: Client, asker: Asker): void {
    const { tenant } = client.principal
    this.#deps.directory.remember(id, client.principal)
    // Before the command leaves: the first event may come back at once.
    if (client.isOpen && client.staysOn) this.#deps.subscriptions.expect(id, client)
    this.#deps.submissions.submit({ sessionId: id, commandId: id, type: 'spawn', tenant, fresh, body: spawn }, asker)
  }

  /** The session runs already: the client hears its story from the beginning. */
  #join(sessionId: SessionId, client: Client, { commandId, requestId }: Asker): void {
    if (!client.isOpen) return
    if (commandId !== undefined) {
      client.push(JSON.stringify(commandAccepted({ commandId, sessionId, requestId, duplicate: true, result: '' })))
    }
    if (!client.staysOn || this.#deps.subscriptions.isSubscribed(sessionId, client)) return
    void this.#deps.subscriptions.subscribe(sessionId, client, START)
  }

  async #reserve(holder: Holder, message: SpawnMessage, asker: Asker): Promise<Reservation> {
    const key = keyOf(message, holder.subject)
    for (let round = 0; round < MAX_RESERVE_ROUNDS; round++) {
      const row = this.#newRow(holder, message, key, asker)
      const reserved = await this.#deps.sessions.reserve(row)
      // Found under our own id: an attempt was carried out whose answer an outage swallowed.
      if (reserved.status === 'new' || reserved.id === row.id) return { status: 'new', id: row.id, spawn: row.spawn }
      if (reserved.status === 'conflict') {
        throw new ServiceError('idempotency_conflict', { key: message.payload.idempotencyKey })
      }
      const existing = await this.#deps.sessions.find(reserved.id)
      if (existing && (key?.explicit || (await this.#isHeld(existing)))) return { status: 'existing', row: existing }
      await this.#deps.sessions.releaseKey(reserved.id)
    }
    throw new ServiceError('unavailable', { reason: 'others spawn the same task at this moment; try again' })
  }

  /** Whether a key made of the task's id still stands for this session. */
  async #isHeld(row: SessionRow): Promise<boolean> {
    if (Date.now() - row.createdAt.getTime() >= TASK_KEY_HOLDS_MS) return false
    const session = await this.#deps.directory.snapshot(row.id)
    return session === undefined || !isTerminal(session.status)
  }

  #newRow(holder: Holder, message: SpawnMessage, key: SpawnKey | undefined, asker: Asker): NewSessionRow {
    const { tenant, subject: owner } = holder
    const { payload } = message
    const now = new Date()
    const type = payload.sessionType ?? DEFAULT_TYPE
    const { shard } = this.#deps.placement.place(`${tenant}/${key?.text ?? newSessionId(0)}`)
    const id = newSessionId(shard)
    const command: SpawnCommand = {
      id,
      type: 'spawn',
      owner,
      orchestratorId: payload.orchestratorId,
      sessionType: type,
      ...optionsOf(payload),
      task: newTask(payload.task, now),
      createdAt: now.toISOString(),
      ...(asker.requestId !== undefined && { requestId: asker.requestId }),
      ...(asker.traceparent !== undefined && { traceparent: asker.traceparent }),
    }
    const { orchestratorId } = payload
    const spawn = JSON.stringify(command)
    const bodyHash = hashOf(message)
    const memoryProfile = command.options?.memoryProfile
    return {
      ...{ id, shard, tenant, owner, orchestratorId, type, bodyHash, spawn },
      ...(key && { idemKey: key.text }),
      ...(memoryProfile !== undefined && { memoryProfile }),
    }
  }
}

/** The profile may be named at two places; the more particular one counts. */
function optionsOf({ options, memoryProfile }: SpawnMessage['payload']): Pick<SpawnCommand, 'options'> {
  const named = options?.memoryProfile ?? (memoryProfile || undefined)
  if (!options && named === undefined) return {}
  return { options: { ...options, ...(named !== undefined && { memoryProfile: named }) } }
}

/**
 * What makes two spawns the same: the client's key, or else the id it gave its task. Under a task's id only the same
 * request counts as a retry, because clients reuse such ids for other work. Keys of two subjects of a tenant never meet:
 * nobody may join a session by guessing its key.
 */
function keyOf(message: SpawnMessage, subject: string): SpawnKey | undefined {
  const { idempotencyKey, orchestratorId, task } = message.payload
  const whose = encodeURIComponent(subject)
  if (idempotencyKey !== undefined) return { text: `key:${whose}/${idempotencyKey}`, explicit: true }
  if (typeof task === 'string' || task.id === undefined) return undefined
  return { text: `task:${whose}/${orchestratorId}/${task.id}/${hashOf(message)}`, explicit: false }
}

/** The same for two requests that ask for the same work; times and status of the task say nothing about that. */
function hashOf({ payload }: SpawnMessage): string {
  const task =
    typeof payload.task === 'string'
      ? { description: payload.task }
      : { ...payload.task, createdAt: undefined, updatedAt: undefined, status: undefined }
  const meaning: unknown[] = [payload.orchestratorId, payload.sessionType ?? DEFAULT_TYPE, payload.memoryProfile ?? '']
  meaning.push(task, ...(payload.options ? [payload.options] : []))
  return createHash('sha256').update(JSON.stringify(meaning)).digest('hex').slice(0, 32)
}
