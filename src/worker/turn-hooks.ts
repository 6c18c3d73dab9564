/**
 * The hooks of one turn: which of its calls have passed them, so that what runs after a call runs after those alone that did.
 */
import type { ToolRequest } from '../models/model.js'
import type { Verdict } from '../runtimes/gate.js'
import type { HookedCall, ToolHooks } from '../runtimes/hooks/hooks.js'
import type { ToolOutcome } from '../runtimes/runtime.js'

export interface TurnHooksOptions {
  /** Undefined where the operator has declared none. */
  readonly hooks: ToolHooks | undefined
  readonly sessionId: string
  readonly taskId: string
  readonly signal: AbortSignal
  /** Throws when this process may no longer start effects: a hook is one. */
  readonly beforeEffect: () => void
}

export class TurnHooks {
  readonly #options: TurnHooksOptions
  /** By call id; a turn has no more calls under way than one answer asks for. */
  readonly #passed = new Map<string, HookedCall>()

  constructor(options: TurnHooksOptions) {
    this.#options = options
  }

  async before(call: ToolRequest, workspace: string): Promise<Verdict> {
    const { hooks, sessionId, taskId, signal, beforeEffect } = this.#options
    if (!hooks) return { decision: 'allow' }
    beforeEffect()
    const about = { sessionId, taskId, workspace, call }
    this.#passed.set(call.callId, about)
    return await hooks.before(about, signal)
  }

  /** The call does not run after all. */
  withdraw(callId: string): void {
    this.#passed.delete(callId)
  }

  /** The outcome as hooks leave it; undefined where none has run. */
  async after(callId: string, outcome: ToolOutcome): Promise<ToolOutcome | undefined> {
    const { hooks, signal, beforeEffect } = this.#options
    const about = this.#passed.get(callId)
    if (!hooks || !about) return undefined
    this.#passed.delete(callId)
    beforeEffect()
    return await hooks.after(about, outcome, signal)
  }
}
