/**
 * Approvals: a tool call that the charter leaves to a person, and the answer.
 */

/** Who may answer: whoever may use the session, or only an administrator of its tenant. */
export type ApprovalLevel = 'confirm' | 'escalate'

export const APPROVAL_DECISIONS = ['approve', 'reject'] as const
export type ApprovalDecision = (typeof APPROVAL_DECISIONS)[number]

/** How a request ended. `cancelled` with its task, `expired` because nobody answered. */
export type ApprovalOutcome = 'approved' | 'rejected' | 'expired' | 'cancelled'
export type ApprovalState = 'pending' | ApprovalOutcome

/** A request that waits for its answer, as the session shows it. */
export interface PendingApproval {
  readonly approvalId: string
  readonly toolName: string
  readonly reason: string
  readonly level: ApprovalLevel
  readonly expiresAt: string
}
