/**
 * Every failure that may reach a user, in one table: what was expected, what to try, and how each door shows it.
 */

export interface ErrorEntry {
  /** A sentence for the user; `{name}` is filled from the error's details. */
  readonly text: string
  readonly http: number
  /** WebSocket close code, for the few errors that end a connection. */
  readonly close?: number
  /** Whether the same request may succeed later without a change. */
  readonly retryable: boolean
}

export const ERRORS = {
  invalid_message: {
    text: 'Invalid message format',
    http: 400,
    retryable: false,
  },
  invalid_payload: {
    text: 'Invalid message format: {reason}',
    http: 422,
    retryable: false,
  },
  unknown_type: {
    text: 'Unknown message type',
    http: 400,
    retryable: false,
  },
  unknown_method: { text: 'Unknown method: {method}; rpc.discover lists them', http: 400, retryable: false },
  handshake_required: { text: 'The first request must be auth.connect', http: 400, close: 1008, retryable: false },
  protocol_mismatch: {
    text: 'Version 2 of the protocol is spoken here; the client asks for {min} to {max}',
    http: 400,
    close: 1002,
    retryable: false,
  },
  message_too_large: {
    text: 'Message is larger than {limit} bytes; send less at once',
    http: 413,
    retryable: false,
  },
  not_found: { text: 'There is nothing at {path}; see /api/docs', http: 404, retryable: false },
  method_not_allowed: { text: '{path} does not take {method}; see /api/docs', http: 405, retryable: false },
  artifact_not_found: { text: 'The session has no file {path}', http: 404, retryable: false },
  session_not_found: { text: 'Session not found: {sessionId}', http: 404, retryable: false },
  subscription_not_found: { text: 'There is no subscription {subscriptionId}', http: 404, retryable: false },
  memory_not_found: { text: 'Nothing is remembered under {memoryId}', http: 404, retryable: false },
  session_not_running: {
    text: 'Session {sessionId} is not running (status: {status}); spawn a new one',
    http: 409,
    retryable: false,
  },
  max_sessions: {
    text: 'Failed to spawn session: Max sessions reached',
    http: 503,
    retryable: true,
  },
  approval_not_found: {
    text: 'There is no approval {approvalId} for this credential',
    http: 404,
    retryable: false,
  },
  approval_closed: {
    text: 'The approval {approvalId} is no longer open: {status}',
    http: 409,
    retryable: false,
  },
  idempotency_conflict: {
    text: 'The idempotency key {key} was used before with another body; use a new key',
    http: 409,
    retryable: false,
  },
  busy: { text: 'The session has too much waiting work; try again in {retryAfterMs} ms', http: 429, retryable: true },
  outcome_unknown: {
    text: 'No worker confirmed the command in time; send it again with the same commandId to learn what became of it',
    http: 504,
    retryable: true,
  },
  unavailable: { text: 'The service cannot do this right now: {reason}', http: 503, retryable: true },
  forbidden: {
    text: 'This credential may not {action}; ask for one with another role or scope',
    http: 403,
    retryable: false,
  },
  // Clients of the reference compare these two texts.
  rate_limit_exceeded: { text: 'rate_limit_exceeded', http: 429, retryable: true },
  connection_limit_exceeded: { text: 'connection_limit_exceeded', http: 429, close: 1008, retryable: true },
  edge_full: {
    text: 'This node has as many connections as it can hold; try again, and another one may answer',
    http: 503,
    retryable: true,
  },
  credentials_missing: { text: 'credentials_missing', http: 401, retryable: false },
  authentication_timeout: { text: 'authentication_timeout', http: 401, close: 1008, retryable: true },
  api_key_invalid: { text: 'api_key_invalid', http: 401, retryable: false },
  jwt_malformed: { text: 'jwt_malformed', http: 401, retryable: false },
  jwt_header_invalid: { text: 'jwt_header_invalid', http: 401, retryable: false },
  jwt_algorithm_unsupported: { text: 'jwt_algorithm_unsupported', http: 401, retryable: false },
  jwt_signature_invalid: { text: 'jwt_signature_invalid', http: 401, retryable: false },
  jwt_payload_invalid: { text: 'jwt_payload_invalid', http: 401, retryable: false },
  jwt_payload_schema_invalid: { text: 'jwt_payload_schema_invalid', http: 401, retryable: false },
  jwt_expired: { text: 'jwt_expired', http: 401, retryable: false },
  jwt_not_yet_valid: { text: 'jwt_not_yet_valid', http: 401, retryable: false },
  jwt_issuer_mismatch: { text: 'jwt_issuer_mismatch', http: 401, retryable: false },
  jwt_audience_mismatch: { text: 'jwt_audience_mismatch', http: 401, retryable: false },
  keys_unavailable: {
    text: 'The keys that check this token are being fetched; try again in a few seconds',
    http: 503,
    retryable: true,
  },
  token_expired: { text: 'token_expired', http: 401, close: 4001, retryable: false },
  openai_key_missing: {
    text: 'OpenAI API key is required',
    http: 503,
    retryable: false,
  },
  anthropic_key_missing: {
    text: 'Anthropic API key is required',
    http: 503,
    retryable: false,
  },
  model_auth: { text: '{provider} Authentication Error: {reason}', http: 502, retryable: false },
  model_rate_limit: { text: 'Rate Limit Error: {reason}', http: 502, retryable: true },
  model_quota: { text: 'Quota Exceeded: {reason}', http: 502, retryable: false },
  model_invalid_request: { text: 'Invalid Request: {reason}', http: 502, retryable: false },
  model_network: { text: 'Network Error: {reason}', http: 502, retryable: true },
  runtime_missing: {
    text: 'Sessions of type {type} cannot run here: {reason}',
    http: 501,
    retryable: false,
  },
  runtime_failed: {
    text: 'Claude Code gave the task up: {reason}; the session can take another task',
    http: 502,
    retryable: true,
  },
  mcp_server_refused: {
    text: 'The MCP server {name} cannot be attached: {reason}; spawn a session without it',
    http: 422,
    retryable: false,
  },
  context_too_small: {
    text: 'Instructions and tools alone take {tokens} tokens, and DAEMON_MAX_CONTEXT_TOKENS is {limit}; raise it',
    http: 422,
    retryable: false,
  },
  too_many_steps: {
    text: 'The task needed more than {limit} model calls; split it or say more precisely when it is done',
    http: 422,
    retryable: false,
  },
  // The words before the colon are the reference's.
  budget_exceeded: {
    text: 'Token budget exceeded for period: {used} of {limit} tokens of the {period} budget of {scope} are used; {relief}',
    http: 429,
    retryable: true,
  },
  dependency_failed: {
    text: 'The task did not run: {task}, which had to be completed first, {outcome}',
    http: 424,
    retryable: false,
  },
  dependency_unknown: {
    text: 'There is no task {task} to wait for; name its session, or schedule it first',
    http: 404,
    retryable: false,
  },
  dependency_cycle: { text: 'The task would wait for itself, through {task}', http: 409, retryable: false },
  task_exists: {
    text: 'The session has a task {task} already; a task that waits needs an id of its own',
    http: 409,
    retryable: false,
  },
  schedule_invalid: { text: 'The task cannot be scheduled: {reason}', http: 422, retryable: false },
  schedule_limit: {
    text: 'The tenant has {limit} tasks that wait, which is all that it may have; cancel some or try again later',
    http: 429,
    retryable: true,
  },
  schedule_not_found: { text: 'No scheduled task that waits has the id {scheduleId}', http: 404, retryable: false },
  quarantined: {
    text: 'The task was interrupted {attempts} times at the same step and is set aside; see dead letter {id}',
    http: 500,
    retryable: false,
  },
  shutting_down: { text: 'Server shutting down', http: 503, close: 1012, retryable: true },
  internal: {
    text: 'Something went wrong on our side; it is logged with id {incident}',
    http: 500,
    retryable: true,
  },
} as const satisfies Record<string, ErrorEntry>

export type ErrorCode = keyof typeof ERRORS

type Details = Readonly<Record<string, string | number | undefined>>

/** A failure for someone else: a code of the table, with the values that its sentence names. */
export class ServiceError extends Error {
  readonly entry: ErrorEntry

  constructor(
    readonly code: ErrorCode,
    readonly details: Details = {},
    options?: ErrorOptions,
  ) {
    super(fill(ERRORS[code].text, details), options)
    this.name = 'ServiceError'
    this.entry = ERRORS[code]
  }
}

function fill(text: string, details: Details): string {
  return text.replace(/\{(\w+)\}/g, (_whole, name: string) => String(details[name] ?? 'unknown'))
}
