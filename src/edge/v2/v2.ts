/**
 * The second protocol of raw WebSockets (docs/protocol-v2.md): at its own path from the first frame, at any other one from
 * the frame with which a client begins it.
 */
import type { Connection, Dialect } from '../connection.js'
import { readRequest } from './frame-reader.js'
import { Link } from './link.js'
import type { V2Parts } from './parts.js'

export class V2 {
  readonly #parts: V2Parts

  constructor(parts: V2Parts) {
    this.#parts = parts
  }

  /** For a connection that speaks nothing else: its handshake is waited for. */
  expect(connection: Connection): Dialect {
    return new Link(connection, this.#parts, true)
  }

  /** For a frame that is none of the first protocol's: only the handshake makes it one of this. */
  begin(connection: Connection, frame: string): Dialect | undefined {
    const read = readRequest(frame)
    const isHandshake = read.ok && read.request.method === 'auth.connect'
    return isHandshake ? new Link(connection, this.#parts, false) : undefined
  }
}
