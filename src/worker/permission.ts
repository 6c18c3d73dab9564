/**
 * Whether a tool call of a turn may run: what the charter says of it, as the outcome of the call.
 */
import type { ToolRequest } from '../models/model.js'
import type { Gate } from '../runtimes/gate.js'
import type { ToolOutcome } from '../runtimes/runtime.js'

/** The failed outcome of a call that may not run; undefined for one that may. */
export function permission(gate: Gate, workspace: string, { name, input }: ToolRequest): ToolOutcome | undefined {
  const verdict = gate.judge({ tool: name, input, workspace })
  return verdict.decision === 'allow' ? undefined : { status: 'failed', error: verdict.reason }
}
