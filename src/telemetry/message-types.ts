/**
 * The closed lists behind the label `message_type`; the compiler keeps them complete.
 */
import type { ClientMessageType } from '../protocol/commands.js'
import type { ServerMessage } from '../protocol/events.js'

/** What anything outside of a closed list is counted as. */
export const UNKNOWN = 'unknown'

const CLIENT: Readonly<Record<ClientMessageType, true>> = {
  spawn_session: true,
  execute_task: true,
  session_status: true,
  stop_session: true,
  complete_session: true,
  pause_session: true,
  resume_session: true,
  cancel_task: true,
  approval_decision: true,
  list_approvals: true,
  cancel_scheduled: true,
  list_tasks: true,
  subscribe: true,
  unsubscribe: true,
  list_sessions: true,
  daemon_status: true,
  route_task: true,
  token_refresh: true,
  health_check: true,
  ping: true,
}

const SERVER: Readonly<Record<ServerMessage['type'], true>> = {
  session_spawned: true,
  session_status_update: true,
  task_executing: true,
  task_completed: true,
  task_failed: true,
  task_cancelled: true,
  stream_start: true,
  stream_chunk: true,
  stream_end: true,
  tool_call_start: true,
  tool_call_result: true,
  approval_request: true,
  approval_resolved: true,
  session_takeover: true,
  budget_alert: true,
  context_compacted: true,
  memory_recalled: true,
  conversation_retold: true,
  error: true,
  command_accepted: true,
  subscribed: true,
  unsubscribed: true,
  sessions_list: true,
  task_scheduled: true,
  tasks_list: true,
  approvals_list: true,
  daemon_status_response: true,
  task_routed: true,
  delegation_result: true,
  token_refreshed: true,
  health_check_response: true,
  pong: true,
}

/** The second protocol is counted by its frames. */
export const CLIENT_MESSAGES: readonly string[] = [...Object.keys(CLIENT), 'req', UNKNOWN]
export const SERVER_MESSAGES: readonly string[] = [...Object.keys(SERVER), 'res', 'event', UNKNOWN]

/** Every frame we send begins with its type. */
const START = '{"type":"'

/** The type of a frame that we send, without parsing it. */
export function typeOfFrame(frame: string): string {
  return frame.startsWith(START) ? frame.slice(START.length, frame.indexOf('"', START.length)) : UNKNOWN
}
