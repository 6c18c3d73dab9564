/**
 * The first protocol for clients that look for what a message says in its `payload`, as Neolith's web app does: every frame
 * as it is, with that once more beside it. Only whoever comes by this path pays for it.
 */
import { type Decoded, decode } from '../protocol/codec.js'
import type { ServerMessage } from '../protocol/events.js'
import type { Dialect } from './connection.js'

/** What such a client calls two of our messages. */
const CALLED = new Map<unknown, string>([
  ['get_session_status', 'session_status'],
  ['get_daemon_status', 'daemon_status'],
])

export class PayloadMirror implements Dialect {
  read(frame: string | Buffer): Decoded {
    const decoded = decode(String(frame))
    if (decoded.ok || decoded.error.code !== 'unknown_type') return decoded
    const message = JSON.parse(String(frame)) as { readonly type?: unknown }
    const type = CALLED.get(message.type)
    return type === undefined ? decoded : decode(JSON.stringify({ ...message, type }))
  }

  write(frame: string): readonly string[] {
    const payload = JSON.stringify(payloadOf(JSON.parse(frame) as ServerMessage))
    return [`${frame.slice(0, frame.lastIndexOf('}'))},"payload":${payload}}`]
  }

  /** The heartbeat is the transport's own. */
  beat(): void {}

  /** Nothing is kept. */
  ended(): void {}
}

/** The session, the status or the data that a message is about; of others everything but its type. */
function payloadOf(message: ServerMessage): object {
  switch (message.type) {
    case 'session_spawned':
    case 'session_status_update':
      return message.session
    case 'daemon_status_response':
      return message.status
    case 'stream_chunk':
    case 'tool_call_start':
    case 'tool_call_result':
      return message.data
    default: {
      const { type: _, ...payload } = message
      return payload
    }
  }
}
