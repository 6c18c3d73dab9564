/**
 * The words of the federation: orchestrators that register with what they can do, and tasks that one gives another. The
 * library and `route_task` share them.
 */
import { z } from 'zod'
import { freeFormSchema, SESSION_TYPES, type SessionType, type TaskUsage, taskInputSchema } from './session.js'

const MAX_ID_CHARS = 128
/** A delegation's id becomes ids of commands and tasks, to which the number of the attempt is added. */
const MAX_DELEGATION_ID_CHARS = 100
const MAX_CAPABILITIES = 64
const MAX_GROUPS = 16
const MAX_SESSIONS = 10_000
const MAX_TIER = 5
const MAX_RETRIES = 10
/** A day: whoever waits longer wants a session of their own. */
const MAX_TIMEOUT_MS = 86_400_000
const DEFAULT_TIMEOUT_MS = 300_000
const DEFAULT_RETRIES = 3
const DEFAULT_MAX_SESSIONS = 10

/** Names without control characters, so that they may stand in logs and metrics. */
const name = z.string().regex(/^[^\p{Cc}]{1,64}$/u, 'a name is 1 to 64 characters')
const orchestratorId = z.string().regex(/^[^\p{Cc}]{1,128}$/u, `an id is 1 to ${MAX_ID_CHARS} characters`)
const capabilities = z.array(name).max(MAX_CAPABILITIES).default([])

/** What an orchestrator says of itself. */
export const registrationSchema = z.object({
  id: orchestratorId,
  capabilities,
  region: name.optional(),
  /** 1 to 5: urgent tasks go to higher tiers. */
  tier: z.number().int().min(1).max(MAX_TIER).default(1),
  /** Of the sessions in which it does what is delegated to it. */
  sessionType: z.enum(SESSION_TYPES).default('llm'),
  /** Delegations that it takes at one time. */
  maxSessions: z.number().int().min(1).max(MAX_SESSIONS).default(DEFAULT_MAX_SESSIONS),
  /** Tokens that it may use; without it there is no limit. */
  maxTokens: z.number().int().min(1).optional(),
  /** Groups whose shared context it sees. */
  groups: z.array(name).max(MAX_GROUPS).default([]),
})
export type Registration = z.output<typeof registrationSchema>
export type RegistrationInput = z.input<typeof registrationSchema>

/** How much an orchestrator has to do, as it says with a heartbeat. */
export interface OrchestratorLoad {
  readonly activeSessions?: number
  readonly tokensUsed?: number
}

/** `busy` has no room for another session · `offline` has been silent for half a minute. */
const ORCHESTRATOR_STATUSES = ['online', 'busy', 'offline'] as const
export type OrchestratorStatus = (typeof ORCHESTRATOR_STATUSES)[number]

/** How an attempt at an orchestrator ended, and how long ago by the database's clock. */
export interface Outcome {
  readonly ageMs: number
  readonly failed: boolean
}

/** `open`: it fails, and is left alone for a while · `half-open`: it may show with a few tasks that it does not any more. */
export type CircuitState = 'closed' | 'open' | 'half-open'

export interface Orchestrator {
  readonly id: string
  readonly capabilities: readonly string[]
  readonly region: string | null
  readonly tier: number
  readonly sessionType: SessionType
  readonly groups: readonly string[]
  readonly maxSessions: number
  readonly maxTokens: number | null
  readonly tokensUsed: number
  /** As it said, or the delegations that it has, whichever is more. */
  readonly activeSessions: number
  readonly status: OrchestratorStatus
  /** Of the last attempts at it, 20 of each kind at most, in no order. */
  readonly outcomes: readonly Outcome[]
  readonly registeredAt: Date
  readonly heartbeatAt: Date
}

/** Which orchestrators to show. */
export interface OrchestratorQuery {
  /** All of these. */
  readonly capabilities?: readonly string[]
  readonly region?: string
  readonly group?: string
  readonly status?: OrchestratorStatus
  readonly minAvailableSessions?: number
  readonly minAvailableTokens?: number
}

/** What a task needs of the one who does it. */
export const needsSchema = z.object({
  /** This orchestrator and no other. */
  to: orchestratorId.optional(),
  /** It must have all of these. */
  capabilities,
  preferredCapabilities: capabilities,
  /** Preferred, not required. */
  region: name.optional(),
  minAvailableTokens: z.number().int().min(0).optional(),
})
export type Needs = z.output<typeof needsSchema>

/** The same id is the same delegation, however often it is asked for. */
export const delegationIdSchema = z.string().min(1).max(MAX_DELEGATION_ID_CHARS)

export const delegationSchema = needsSchema.extend({
  id: delegationIdSchema.optional(),
  from: orchestratorId.default('default'),
  task: taskInputSchema,
  /** Of the session that does it; default what the orchestrator says. */
  sessionType: z.enum(SESSION_TYPES).optional(),
  /** For the one who does it, beside the task's own metadata. */
  context: freeFormSchema.optional(),
  /** From when it is asked for to its end, retries included. */
  timeoutMs: z.number().int().min(1).max(MAX_TIMEOUT_MS).default(DEFAULT_TIMEOUT_MS),
  /** Further attempts after one that is known to have failed. */
  retries: z.number().int().min(0).max(MAX_RETRIES).default(DEFAULT_RETRIES),
})
export type DelegationRequest = z.output<typeof delegationSchema>
export type DelegationInput = z.input<typeof delegationSchema>

/**
 * Why nobody did it. `capability_mismatch` nobody can · `overloaded` those who can have no room · `unreachable` those who
 * can are silent · `rejected` it was tried and failed, `code` says how · `timeout` it was not done in time.
 */
export type DelegationFailure = 'capability_mismatch' | 'overloaded' | 'unreachable' | 'rejected' | 'timeout'

/** How a delegation ended. */
export interface DelegationResult {
  readonly delegationId: string
  readonly taskId: string
  readonly status: 'completed' | 'failed' | 'cancelled'
  /** Who did it, or tried last; null when nobody could be found. */
  readonly orchestrator: string | null
  readonly sessionId: string | null
  readonly output?: string
  readonly usage?: TaskUsage
  readonly reason?: DelegationFailure
  /** A code of the error table, where there is one. */
  readonly code?: string
  readonly error?: string
  /** Attempts that were started. */
  readonly attempts: number
  /** From when it was asked for, by the database's clock. */
  readonly durationMs: number
}
