/**
 * What a client sees of a turn that Claude Code gave up.
 */
import type { SDKResultMessage } from '@anthropic-ai/claude-agent-sdk'
import { type ErrorCode, ServiceError } from '../../protocol/errors.js'

const MAX_REASON_CHARS = 500

/** What was kept of the conversation is of no use: it can only begin anew. */
export class CannotResume extends Error {
  override readonly name = 'CannotResume'
}

/** Undefined for a turn that succeeded. */
export function failureOf(result: SDKResultMessage): ServiceError | undefined {
  if (result.subtype !== 'success') {
    const reason = result.errors.join('; ').slice(0, MAX_REASON_CHARS) || result.subtype
    return new ServiceError('runtime_failed', { reason })
  }
  if (!result.is_error) return undefined
  const status = result.api_error_status ?? undefined
  const code = codeOf(status, result)
  // The vendor's own sentence repeats parts of the key; clients of a shared daemon must not see them.
  const reason =
    code === 'model_auth'
      ? `the vendor refused the configured API key (HTTP ${status})`
      : result.result.slice(0, MAX_REASON_CHARS)
  return new ServiceError(code, { provider: 'Anthropic', reason, status })
}

function codeOf(
  status: number | undefined,
  { terminal_reason, result }: { terminal_reason?: string; result: string },
): ErrorCode {
  if (/credit balance is too low/i.test(result) || status === 402) return 'model_quota'
  if (status === 401 || status === 403) return 'model_auth'
  if (status === 429) return 'model_rate_limit'
  if (status !== undefined && status < 500 && status !== 408 && status !== 409) return 'model_invalid_request'
  return status !== undefined || terminal_reason === 'api_error' ? 'model_network' : 'runtime_failed'
}
