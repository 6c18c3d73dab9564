/**
 * Questions and commands that wait for their answer. Whatever has none when the connection is lost is sent again, under
 * the same ids, so that it takes effect once; and a server that is busy is asked again after the time it names.
 */
import type { ClientMessageInput } from '../protocol/commands.js'
import type { ServerMessage } from '../protocol/events.js'
import type { ErrorReply } from '../protocol/replies.js'
import { ClientError } from './client-error.js'

/** Longer than a server tries to bring a command to a worker. */
const ANSWER_TIMEOUT_MS = 60_000
const DEFAULT_RETRY_MS = 1_000

type Answer = Exclude<ServerMessage, ErrorReply>

interface Pending {
  readonly frame: string
  readonly answer: Answer['type']
  readonly since: number
  readonly onAnswer: (answer: Answer) => void
  readonly onError: (error: ClientError) => void
  readonly timeout: ReturnType<typeof setTimeout>
  retry: ReturnType<typeof setTimeout> | undefined
  /** One that was sent before was lost with its connection, or given up by the server: it may have been taken. */
  mayBeTaken: boolean
}

export class Requests {
  readonly #pending = new Map<string, Pending>()
  readonly #send: (frame: string) => boolean
  readonly #traceparent: (() => string | undefined) | undefined
  #count = 0

  /** `traceparent` is asked for each message that is made. */
  constructor(send: (frame: string) => boolean, traceparent?: () => string | undefined) {
    this.#send = send
    this.#traceparent = traceparent
  }

  /**
   * Sends a message and waits for the answer of the given type. `take` runs in the same turn as the frame's arrival, so
   * that what it sets up sees the frames that follow. Rejects with a `ClientError`.
   */
  ask<T extends Answer['type'], R>(
    message: ClientMessageInput,
    type: T,
    take: (answer: Extract<Answer, { type: T }>) => R,
  ): Promise<R> {
    this.#count += 1
    const requestId = `${this.#count}`
    const frame = JSON.stringify({ ...message, requestId, traceparent: this.#traceparent?.() })
    return new Promise((resolve, reject) => {
      const timeout = setTimeout(
        () => this.#fail(requestId, new ClientError('timeout', `no answer to ${message.type} within a minute`)),
        ANSWER_TIMEOUT_MS,
      )
      this.#pending.set(requestId, {
        frame,
        answer: type,
        since: Date.now(),
        onAnswer: (answer) => resolve(take(answer as Extract<Answer, { type: T }>)),
        onError: reject,
        timeout,
        retry: undefined,
        mayBeTaken: false,
      })
      this.#send(frame)
    })
  }

  /** Gives a frame to whom it answers. Returns whether it was an answer; events with the id of a command are not. */
  settle(message: ServerMessage): boolean {
    const requestId = 'requestId' in message ? message.requestId : undefined
    const pending = requestId === undefined ? undefined : this.#pending.get(String(requestId))
    if (!pending) return false
    if (message.type === 'error') {
      pending.mayBeTaken ||= message.code === 'outcome_unknown'
      this.#refused(String(requestId), pending, ClientError.fromReply(message, pending.mayBeTaken))
      return true
    }
    // A logged event may carry the type and the id of an answer; only answers have no time of their own.
    if (message.type !== pending.answer || 'timestamp' in message) return false
    this.#forget(String(requestId), pending)
    pending.onAnswer(message)
    return true
  }

  /** A connection stands again. */
  resend(): void {
    for (const pending of this.#pending.values()) {
      pending.mayBeTaken = true
      this.#send(pending.frame)
    }
  }

  failAll(error: ClientError): void {
    for (const requestId of [...this.#pending.keys()]) this.#fail(requestId, error)
  }

  #refused(requestId: string, pending: Pending, error: ClientError): void {
    const pauseMs = error.details.retryAfterMs ?? DEFAULT_RETRY_MS
    const inTime = Date.now() + pauseMs - pending.since < ANSWER_TIMEOUT_MS
    if (!error.details.retryable || !inTime) {
      this.#fail(requestId, error)
      return
    }
    clearTimeout(pending.retry)
    pending.retry = setTimeout(() => this.#send(pending.frame), pauseMs)
  }

  #fail(requestId: string, error: ClientError): void {
    const pending = this.#pending.get(requestId)
    if (!pending) return
    this.#forget(requestId, pending)
    pending.onError(error)
  }

  #forget(requestId: string, pending: Pending): void {
    clearTimeout(pending.timeout)
    clearTimeout(pending.retry)
    this.#pending.delete(requestId)
  }
}
