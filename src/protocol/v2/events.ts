/**
 * What the server tells clients of the second protocol without being asked.
 */

/** Every event with what it means, as `rpc.discover` tells it. */
export const V2_EVENTS = {
  'stream.start': 'The answer to a prompt begins.',
  'stream.chunk': 'Text of it, addressed by message and byte.',
  'stream.end': 'The prompt is done; its result and what it used.',
  'stream.error': 'The prompt has failed or was cancelled.',
  'stream.progress': 'A step on the way: a model call, a takeover, an alert of a budget, a summary.',
  'tool.request': 'A tool call waits for tool.approve or tool.deny.',
  'tool.result': 'A tool call has ended, or was denied.',
  'tool.status': 'A tool call has begun, or was approved.',
  'agent.status': 'An agent stands differently.',
  'agent.spawned': 'There is a new agent.',
  'agent.stopped': 'An agent has ended.',
  'team.status': 'A team stands differently.',
  'team.message': 'Somebody has told a team something.',
  'team.dissolved': 'A team has ended.',
  'health.heartbeat': 'The server is there; sent to everybody.',
  'session.status': 'A session stands differently; with `reset`, forget what you have of it.',
  'session.created': 'There is a new session.',
  'session.stopped': 'A session has ended.',
  error: 'Something went wrong that no request asked for; sent to everybody whom it concerns.',
} as const satisfies Record<string, string>

export type V2EventName = keyof typeof V2_EVENTS
export const V2_EVENT_NAMES = Object.keys(V2_EVENTS) as V2EventName[]

/** Sent without a subscription. */
export const UNASKED: ReadonlySet<V2EventName> = new Set(['health.heartbeat', 'error'])

export interface V2Event {
  readonly event: V2EventName
  readonly payload: object
}
