/**
 * What a session has said and nobody has read yet. Bounded: when it is full, pieces of the same message are joined, oldest
 * first, which loses nothing. When that is not enough the reader is told; there is never a silent hole.
 */
import type { ServerMessage, StreamChunk } from '../protocol/events.js'
import { ClientError } from './client-error.js'

/** Several turns of a busy session. */
const MAX_MESSAGES = 4_096

export class MessageQueue {
  #messages: ServerMessage[] = []
  #readers: { resolve: (result: IteratorResult<ServerMessage>) => void; reject: (error: Error) => void }[] = []
  #end: { readonly error: ClientError | undefined } | undefined

  constructor(private readonly limit: number = MAX_MESSAGES) {}

  push(message: ServerMessage): void {
    if (this.#end) return
    const reader = this.#readers.shift()
    if (reader) reader.resolve({ done: false, value: message })
    else this.#store(message)
  }

  #store(message: ServerMessage): void {
    this.#messages.push(message)
    if (this.#messages.length <= this.limit) return
    this.#messages = joinChunks(this.#messages)
    // Joining must free enough that it is not tried again for every message.
    if (this.#messages.length <= this.limit * 0.75) return
    this.#messages = []
    this.end(new ClientError('slow_consumer', 'the session said more than was read; attach again from its position'))
  }

  /** After what waits, readers get the end, or the error. */
  end(error?: ClientError): void {
    if (this.#end) return
    this.#end = { error }
    for (const reader of this.#readers.splice(0)) {
      if (error) reader.reject(error)
      else reader.resolve({ done: true, value: undefined })
    }
  }

  async next(): Promise<IteratorResult<ServerMessage>> {
    const message = this.#messages.shift()
    if (message) return { done: false, value: message }
    if (this.#end?.error) throw this.#end.error
    if (this.#end) return { done: true, value: undefined }
    return new Promise((resolve, reject) => this.#readers.push({ resolve, reject }))
  }
}

function joinChunks(messages: readonly ServerMessage[]): ServerMessage[] {
  const joined: ServerMessage[] = []
  for (const message of messages) {
    const last = joined.at(-1)
    const follows = last?.type === 'stream_chunk' && message.type === 'stream_chunk'
    if (follows && last.data.messageId === message.data.messageId) joined[joined.length - 1] = join(last, message)
    else joined.push(message)
  }
  return joined
}

function join(first: StreamChunk, second: StreamChunk): StreamChunk {
  const tokens = first.data.metadata.tokens + second.data.metadata.tokens
  return { ...first, data: { ...first.data, chunk: first.data.chunk + second.data.chunk, metadata: { tokens } } }
}
