/**
 * Approvals: a tool call that the charter leaves to a person, and the answer.
 */

/** Who may answer: whoever may use the session, or only an administrator of its tenant. */
export type ApprovalLevel = 'confirm' | 'escalate'

/** A sentence or two: the model reads it, and the audit log keeps it. */
export const MAX_COMMENT_CHARS = 1_000

export const APPROVAL_DECISIONS = ['approve', 'reject'] as const
export type ApprovalDecision = (typeof APPROVAL_DECISIONS)[number]

/** How a request ended. `cancelled` with its task, `expired` because nobody answered. */
export type ApprovalOutcome = 'approved' | 'rejected' | 'expired' | 'cancelled'
export type ApprovalState = 'pending' | ApprovalOutcome

/** Which requests a list shows: those that wait, or all. */
export const APPROVAL_FILTERS = ['pending', 'all'] as const
export type ApprovalFilter = (typeof APPROVAL_FILTERS)[number]

/** A request as a list shows it. Dates are ISO 8601 in UTC. */
export interface ListedApproval extends PendingApproval {
  readonly sessionId: string
  readonly state: ApprovalState
  /** Long texts are cut. */
  readonly toolInput: object
  readonly requestedAt: string
  readonly decidedAt?: string
  /** Who answered; `service` when it expired or was cancelled. */
  readonly decidedBy?: string
  readonly comment?: string
}

/** A request that waits for its answer, as the session shows it. */
export interface PendingApproval {
  readonly approvalId: string
  readonly toolName: string
  readonly reason: string
  readonly level: ApprovalLevel
  readonly expiresAt: string
}
