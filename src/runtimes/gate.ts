/**
 * The gate: every tool call of every session passes it before its effect. What stands behind it knows the charter; a
 * runtime knows only this, and usually asks through `Turn.permit`, which also waits for the human where one is asked.
 */

/** A tool call as the model wants it: of our own tools (`bash_execute`), of an agent's (`Bash`, `Write`), or `mcp__x__y`. */
export interface ToolUse {
  readonly tool: string
  readonly input: Readonly<Record<string, unknown>>
  /** Absolute path of the session's own directory, from which relative paths count. */
  readonly workspace: string
}

export type Verdict =
  | { readonly decision: 'allow' }
  /** `reason` is a sentence for the model and the user; `rule` names what decided, for logs and metrics. */
  | { readonly decision: 'deny'; readonly reason: string; readonly rule: string }
  /** A human decides: whoever has the session (`confirm`), or an administrator of its tenant (`escalate`). */
  | { readonly decision: 'ask'; readonly reason: string; readonly rule: string; readonly level: ApprovalLevel }

export type ApprovalLevel = 'confirm' | 'escalate'

export interface Gate {
  /** Pure and quick: no disk, no network. Whatever it cannot make out is asked or denied, never allowed. */
  judge(use: ToolUse): Verdict
}
