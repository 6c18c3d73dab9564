/**
 * Everything that Neolith can be asked for, one line each, and whether asking twice differs from asking once. The paths are
 * those of its daemon API (rows N-01 to N-08 of docs/compatibility.md).
 */

export interface Call {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
  /** `{channelId}` stands for a parameter. */
  readonly path: string
  /** True where a call whose fate is not known may simply be sent again. */
  readonly repeatable: boolean
  /** False for the calls that bring a token, or carry the key themselves. */
  readonly signed: boolean
}

const call = (method: Call['method'], path: string, repeatable: boolean, signed = true): Call => ({
  ...{ method, path: `/api/daemon${path}`, repeatable, signed },
})

export const CALLS = {
  // Each makes a session of its own at Neolith.
  auth: call('POST', '/auth', false, false),
  // The refresh token stays the same: a second answer is as good as the first.
  refresh: call('POST', '/auth/refresh', true, false),
  heartbeat: call('POST', '/heartbeat', true),
  config: call('GET', '/config', true),
  messages: call('GET', '/messages', true),
  // Twice is two messages, which people see.
  send: call('POST', '/messages', false),
  status: call('PUT', '/status', true),
  events: call('GET', '/events', true),
  acknowledge: call('DELETE', '/events', true),
  presence: call('PUT', '/presence', true),
  channels: call('GET', '/channels', true),
  // A second one would be answered with ALREADY_MEMBER or NOT_MEMBER, though the first took effect.
  join: call('POST', '/channels/{channelId}/join', false),
  leave: call('DELETE', '/channels/{channelId}/join', false),
  daemon: call('GET', '', true),
  register: call('POST', '', false, false),
  unregister: call('DELETE', '', false),
  sessions: call('GET', '/sessions', true),
  createSession: call('POST', '/sessions', false),
  updateSession: call('PATCH', '/sessions', true),
  endSession: call('DELETE', '/sessions', false),
} as const satisfies Record<string, Call>

export type CallName = keyof typeof CALLS
