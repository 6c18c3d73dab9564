/**
 * The label `status` of a tool call: `success`, `error` or `timeout`.
 */

/** A command that ran out of time is a result with its output so far, and says so. */
export function statusOfTool(outcome: { readonly status: string; readonly result?: object }): string {
  const { result } = outcome
  if (result && 'timedOut' in result && result.timedOut === true) return 'timeout'
  return outcome.status === 'completed' ? 'success' : 'error'
}
