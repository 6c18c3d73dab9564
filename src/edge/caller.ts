/**
 * A request as a client of the edge: it sends one message at a time, gets its answer, and sees nothing else.
 */
import { createHash } from 'node:crypto'
import type { ClientMessage } from '../protocol/commands.js'
import { newCommandId } from '../protocol/ids.js'
import type { ErrorReply, Reply } from '../protocol/replies.js'
import type { Session } from '../protocol/session.js'
import type { ChannelMeter } from '../telemetry/metrics.js'
import type { Principal } from './auth.js'
import type { Client } from './client.js'

/** The error that a client of the raw WebSocket would get, as an exception. */
export class Refusal extends Error {
  constructor(readonly reply: ErrorReply) {
    super(reply.error)
    this.name = 'Refusal'
  }
}

export interface Dispatcher {
  handle(client: Client, message: ClientMessage): Promise<void> | undefined
}

type ReplyType = Reply['type']
type ReplyOf<T extends ReplyType> = Extract<Reply, { readonly type: T }>

interface Waiting {
  readonly types: readonly ReplyType[]
  resolve(reply: Reply): void
  reject(error: Refusal): void
}

export class Caller implements Client {
  pendingCommands = 0
  readonly staysOn = false
  readonly #dispatcher: Dispatcher
  #open = true
  #waiting: Waiting | undefined

  /**
   * `traceparent` is the request's header, '' where it has none. `meter` is that of the connection for which it asks; a request
   * over HTTP is counted by its door.
   */
  constructor(
    dispatcher: Dispatcher,
    public principal: Principal,
    private readonly traceparent = '',
    readonly meter?: ChannelMeter,
  ) {
    this.#dispatcher = dispatcher
  }

  get isOpen(): boolean {
    return this.#open
  }

  hasRoom(): boolean {
    return true
  }

  push(frame: string): void {
    const waiting = this.#waiting
    if (!waiting) return
    const reply = JSON.parse(frame) as Reply
    if (reply.type !== 'error' && !waiting.types.includes(reply.type)) return
    this.#waiting = undefined
    if (reply.type === 'error') waiting.reject(new Refusal(reply as ErrorReply))
    else waiting.resolve(reply)
  }

  /**
   * Sends a message through the same door as a WebSocket's. Resolves with the first reply of one of the types; every message
   * has one, in bounded time. @throws Refusal with the error that a WebSocket would get
   */
  async ask<T extends ReplyType>(message: ClientMessage, ...types: readonly T[]): Promise<ReplyOf<T>> {
    const reply = new Promise<Reply>((resolve, reject) => {
      this.#waiting = { types, resolve, reject }
    })
    // What has failed may be answered before this returns: a rejection nobody waits for yet is no crash.
    reply.catch(() => undefined)
    const { traceparent } = this
    await this.#dispatcher.handle(this, traceparent === '' ? message : { ...message, traceparent })
    return (await reply) as ReplyOf<T>
  }

  /** The request has gone: commands that it sent are carried out all the same. */
  leave(): void {
    this.#open = false
  }
}

/** A session as it stands. @throws Refusal `session_not_found` */
export async function sessionOf(caller: Caller, sessionId: string): Promise<Session> {
  const { session } = await caller.ask({ type: 'session_status', payload: { sessionId } }, 'session_status_update')
  return session
}

export interface AcceptedReply {
  readonly commandId: string
  readonly sessionId: string
  readonly duplicate: boolean
  readonly result?: string
}

/** Sends a command under the client's id, or one of ours, and waits until a worker holds it. */
export async function command(caller: Caller, message: ClientMessage, key: string | undefined): Promise<AcceptedReply> {
  const commandId = key ?? newCommandId()
  const { sessionId, duplicate, result } = await caller.ask({ ...message, commandId }, 'command_accepted')
  return { commandId, sessionId, duplicate, ...(result !== undefined && { result }) }
}

/** Characters of a hash that stand for a task without a name of its own. */
const TASK_HASH_CHARS = 26

/** A request that is repeated must not make another task of it: its name comes from the command's. */
export function taskIdOf(sessionId: string, commandId: string): string {
  const hash = createHash('sha256').update(`${sessionId}/${commandId}`).digest('hex')
  return `task_${hash.slice(0, TASK_HASH_CHARS)}`
}
