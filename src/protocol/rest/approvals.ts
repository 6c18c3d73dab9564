/**
 * Endpoints about tool calls that the charter leaves to a person.
 */
import { z } from 'zod'
import { APPROVAL_FILTERS } from '../approvals.js'
import { decisionPayloadSchema } from '../commands.js'
import { type Endpoint, id, NOTHING, page } from './endpoint.js'
import { approvalShape, commandShape, pageOf } from './shapes.js'

const approval = { tag: 'Approvals', params: z.object({ approvalId: id }), query: NOTHING } as const

export const APPROVAL_ENDPOINTS = {
  listApprovals: {
    ...approval,
    method: 'GET',
    path: '/api/approvals',
    summary: 'Tool calls that wait for a person, or did; newest first.',
    action: 'list_approvals',
    params: NOTHING,
    query: z.object({ ...page, state: z.enum(APPROVAL_FILTERS).optional(), sessionId: id.optional() }),
    answers: { 200: pageOf('approvals', approvalShape) },
    errors: ['session_not_found'],
  },
  readApproval: {
    ...approval,
    method: 'GET',
    path: '/api/approvals/{approvalId}',
    summary: 'One of them.',
    action: 'list_approvals',
    answers: { 200: approvalShape },
    errors: ['approval_not_found'],
  },
  decideApproval: {
    ...approval,
    method: 'POST',
    path: '/api/approvals/{approvalId}/decision',
    summary: 'Approves or rejects a tool call. Of many answers exactly one counts.',
    action: 'approval_decision',
    alsoNeeds: ['list_approvals'],
    body: decisionPayloadSchema.pick({ decision: true, comment: true }),
    takesKey: true,
    answers: { 202: commandShape },
    errors: ['approval_not_found', 'approval_closed', 'busy', 'outcome_unknown'],
  },
} as const satisfies Record<string, Endpoint>
