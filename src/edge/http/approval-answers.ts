/**
 * Approvals over HTTP: listed and decided through the same dispatch as over a WebSocket.
 */
import { ServiceError } from '../../protocol/errors.js'
import { type Caller, command } from '../caller.js'
import { ok } from './answer.js'
import type { Handlers } from './handlers.js'
import { accepted } from './session-answers.js'

export const APPROVAL_ANSWERS: Handlers<'listApprovals' | 'readApproval' | 'decideApproval'> = {
  listApprovals: async ({ caller, query: payload }) => {
    const { approvals, cursor } = await caller.ask({ type: 'list_approvals', payload }, 'approvals_list')
    return ok({ approvals, ...(cursor !== undefined && { cursor }) })
  },
  readApproval: async ({ caller, params }) => ok(await approvalOf(caller, params.approvalId)),
  decideApproval: async ({ caller, params, body, key }) => {
    const { sessionId } = await approvalOf(caller, params.approvalId)
    const payload = { sessionId, ...params, ...body }
    return accepted(await command(caller, { type: 'approval_decision', payload }, key))
  },
}

/** @throws ServiceError `approval_not_found`, also for one that is not there for the caller */
async function approvalOf(caller: Caller, approvalId: string) {
  const { approvals } = await caller.ask({ type: 'list_approvals', payload: { approvalId } }, 'approvals_list')
  const [found] = approvals
  if (!found) throw new ServiceError('approval_not_found', { approvalId })
  return found
}
