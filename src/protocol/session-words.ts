/**
 * What a session can be and how it can stand: apart from the schemas, so that a page can use the words without them.
 */

export const SESSION_TYPES = ['llm', 'echo', 'claude-code', 'claude-flow', 'ruflo'] as const
export type SessionType = (typeof SESSION_TYPES)[number]

export const SESSION_STATUSES = ['initializing', 'active', 'paused', 'completed', 'terminated', 'failed'] as const
export type SessionStatus = (typeof SESSION_STATUSES)[number]

/** Terminal states are final: nothing leads out of them. */
export const isTerminal = (status: SessionStatus): boolean =>
  status === 'completed' || status === 'terminated' || status === 'failed'
