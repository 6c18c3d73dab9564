/**
 * Binary requests, also those that come in several frames: put together within bounds, then read like any other.
 */
import { inflateSync } from 'node:zlib'
import { ServiceError } from '../../protocol/errors.js'
import { type BinaryMetadata, FLAGS, idOf, paramsOf, readBinary } from '../../protocol/v2/binary.js'
import type { Request } from '../../protocol/v2/frames.js'

/** Of one connection at a time; whoever begins more without ending any is wrong. */
const MAX_BEGUN = 4

interface Begun {
  readonly metadata: BinaryMetadata
  readonly pieces: Uint8Array[]
}

export class Fragments {
  readonly #maxBytes: number
  readonly #begun = new Map<string, Begun>()
  /** Of everything that was begun and is not whole. */
  #bytes = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** Takes a frame; undefined while more of its request is to come. @throws ServiceError when it is refused */
  take(bytes: Uint8Array): Request | undefined {
    try {
      return this.#take(bytes)
    } catch (error) {
      this.#drop(idOf(bytes) ?? '')
      throw error
    }
  }

  #take(bytes: Uint8Array): Request | undefined {
    const { id, flags, metadata, payload } = readBinary(bytes)
    const begun = this.#begun.get(id) ?? this.#begin(id, metadata)
    if ((metadata.chunkIndex ?? begun.pieces.length) !== begun.pieces.length) {
      throw new ServiceError('invalid_payload', { reason: 'a chunk is missing, or came twice' })
    }
    const piece = flags & FLAGS.compressed ? this.#inflated(payload) : payload
    this.#bytes += piece.length
    begun.pieces.push(piece)
    if (this.#bytes > this.#maxBytes) throw new ServiceError('message_too_large', { limit: this.#maxBytes })
    if (flags & FLAGS.chunked && !(flags & FLAGS.final)) return undefined
    this.#drop(id)
    const { method, traceparent } = begun.metadata
    if (method === undefined) throw new ServiceError('invalid_payload', { reason: 'metadata.method says what it is' })
    return { id, method, params: paramsOf(begun.metadata, Buffer.concat(begun.pieces)), traceparent }
  }

  #begin(id: string, metadata: BinaryMetadata): Begun {
    if (this.#begun.size >= MAX_BEGUN) {
      throw new ServiceError('unavailable', { reason: `at most ${MAX_BEGUN} requests in pieces at a time` })
    }
    const begun = { metadata, pieces: [] }
    this.#begun.set(id, begun)
    return begun
  }

  #drop(id: string): void {
    const begun = this.#begun.get(id)
    if (!begun) return
    this.#begun.delete(id)
    this.#bytes -= begun.pieces.reduce((sum, piece) => sum + piece.length, 0)
  }

  /** Never more than would be taken: a small frame may hold a great deal of nothing. */
  #inflated(payload: Uint8Array): Uint8Array {
    const room = this.#maxBytes - this.#bytes
    try {
      return inflateSync(payload, { maxOutputLength: Math.max(1, room) })
    } catch (cause) {
      const reason = `the payload is not zlib, or more than ${room} bytes`
      throw new ServiceError('invalid_payload', { reason }, { cause })
    }
  }
}
