/**
 * A request as a client of the edge: it sends one message at a time, gets its answer, and sees nothing else.
 */
import type { ClientMessage } from '../../protocol/commands.js'
import type { ErrorReply, Reply } from '../../protocol/events.js'
import type { Principal } from '../auth.js'
import type { Client } from '../client.js'
import { Refusal } from './problems.js'

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

  /** `traceparent` is the request's header, '' where it has none. */
  constructor(
    dispatcher: Dispatcher,
    public principal: Principal,
    private readonly traceparent = '',
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
