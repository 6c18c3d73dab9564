/**
 * One live Claude Code with the conversation of one session: takes a task, hands everything that follows to the turn that
 * listens, and waits for the next one.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type {
  HookCallbackMatcher,
  HookInput,
  HookJSONOutput,
  Options,
  PostToolUseFailureHookInput,
  PostToolUseHookInput,
  Query,
  SDKMessage,
  SDKUserMessage,
} from '@anthropic-ai/claude-agent-sdk'
import type { GuardedChild } from './child.js'
import type { ModelCalls, Pass } from './model-gateway.js'

/** Somebody may have to be asked, who may take a day; a crash ends the waiting, not the hook's own clock. */
const HOOK_TIMEOUT_S = 86_400
/** From the request to stop until Claude Code says that it has: some 20 ms, and a second for a tool to be killed. */
const INTERRUPT_MS = 2_500
/** SIGTERM is heard in some 100 ms. */
const TERM_GRACE_MS = 1_000

export interface ToolUse {
  readonly callId: string
  readonly name: string
  readonly input: Readonly<Record<string, unknown>>
  /** Name of the agent that makes the call, where it is not the session itself. */
  readonly agent: string | undefined
}

export type ToolEnd =
  | { readonly status: 'completed'; readonly response: unknown }
  | { readonly status: 'failed'; readonly error: string }

/** The turn that a process works for. */
export interface Listener {
  /** Everything that the process says, one after the other. */
  take(message: SDKMessage): Promise<void>
  /** Before a tool runs. A sentence for the model when it must not. */
  beforeTool(use: ToolUse): Promise<string | undefined>
  /** After a tool ran, before the model hears of it. What it is to hear besides. */
  afterTool(use: ToolUse, end: ToolEnd): Promise<string | undefined>
  /** The process says nothing any more. */
  ended(error: unknown): void
}

export interface ProcessOptions {
  /** Starts Claude Code; `onChild` is told of the process, at once or soon. */
  start(
    prompt: AsyncIterable<SDKUserMessage>,
    hooks: Pick<Options, 'hooks' | 'canUseTool'>,
    onChild: (child: GuardedChild) => void,
  ): Query
  /** Its way to the model. */
  readonly pass: Pass
  /** Directory of what it and its commands set down for a while. */
  readonly scratch: string
  /** Whether it goes on with a conversation of an earlier process. */
  readonly isResumed: boolean
  /** Nothing of it is left. */
  onGone(): void
}

export class ClaudeProcess {
  readonly #options: ProcessOptions
  readonly #query: Query
  readonly #input = new Input()
  /** Set by the SDK's first use of it, when the process is really made. */
  #child: GuardedChild | undefined
  #listener: Listener | undefined
  /** Calls that the hook has let pass and that have not begun. */
  readonly #allowed = new Set<string>()
  #isNew = true
  #isOver = false
  #closing: Promise<void> | undefined

  constructor(options: ProcessOptions) {
    this.#options = options
    const hooks = this.#hooks()
    this.#query = options.start(this.#input, hooks, (child) => (this.#child = child))
    void this.#pump()
  }

  #hooks(): Pick<Options, 'hooks' | 'canUseTool'> {
    return {
      hooks: {
        PreToolUse: this.#hook((input) => this.#beforeTool(input)),
        PostToolUse: this.#hook((input) => this.#afterTool(input)),
        PostToolUseFailure: this.#hook((input) => this.#afterTool(input)),
      },
      // What the hook has allowed is allowed; Claude Code asks once more about some paths.
      canUseTool: async (_name, input, { toolUseID }) =>
        this.#allowed.delete(toolUseID)
          ? { behavior: 'allow', updatedInput: input }
          : { behavior: 'deny', message: 'This call was not allowed.' },
    }
  }

  get scratch(): string {
    return this.#options.scratch
  }

  /** Whether it has not been given a task yet. */
  get isNew(): boolean {
    return this.#isNew
  }

  get isResumed(): boolean {
    return this.#options.isResumed
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** Whether it can take another task. */
  get isUsable(): boolean {
    return !this.#isOver && this.#closing === undefined
  }

  /** From now on everything goes to this turn; `calls` is asked before each call of the model. */
  listen(listener: Listener, calls: ModelCalls): void {
    this.#listener = listener
    this.#options.pass.calls = calls
    this.#allowed.clear()
  }

  /** While nobody listens no tool and no model is called. */
  silence(): void {
    this.#listener = undefined
    this.#options.pass.calls = undefined
    this.#allowed.clear()
  }

  say(text: string, uuid: NonNullable<SDKUserMessage['uuid']>): void {
    this.#isNew = false
    // As it is: a path behind an @ must not bring a file along past the charter.
    this.#input.push({
      type: 'user',
      uuid,
      message: { role: 'user', content: text },
      parent_tool_use_id: null,
      client_composed: true,
    })
  }

  /** Asks for the end of the running turn. False when it does not come: the process is then of no use any more. */
  async interrupt(ended: Promise<unknown>): Promise<boolean> {
    const interrupted = this.#query.interrupt().then(() => ended)
    const late = sleep(INTERRUPT_MS, 'late', { ref: false })
    const outcome = await Promise.race([interrupted.catch(() => 'late'), late])
    return outcome !== 'late' && this.isUsable
  }

  /** Ends it, at once with `kill`. Resolves when nothing of it is left; may be called twice. */
  close(how: 'gently' | 'kill'): Promise<void> {
    if (how === 'kill') this.#child?.kill('SIGKILL')
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    this.#input.end()
    this.#child?.kill('SIGTERM')
    const gone = this.#child?.ended ?? Promise.resolve()
    await Promise.race([gone, sleep(TERM_GRACE_MS, undefined, { ref: false })])
    this.#child?.kill('SIGKILL')
    await gone
    this.#query.close()
  }

  async #pump(): Promise<void> {
    let reason: unknown
    try {
      for await (const message of this.#query) await this.#listener?.take(message)
    } catch (error) {
      reason = error
    }
    this.#isOver = true
    this.#listener?.ended(reason)
    this.#child?.kill('SIGKILL')
    await this.#child?.ended
    this.#options.onGone()
  }

  #hook(answer: (input: HookInput) => Promise<HookJSONOutput>): HookCallbackMatcher[] {
    return [{ hooks: [answer], timeout: HOOK_TIMEOUT_S, onFailure: 'block' }]
  }

  async #beforeTool(input: HookInput): Promise<HookJSONOutput> {
    if (input.hook_event_name !== 'PreToolUse') return {}
    const use = useOf(input)
    const listener = this.#listener
    const refusal = listener ? await listener.beforeTool(use) : 'The task has ended: no tool may run any more.'
    if (refusal === undefined) this.#allowed.add(use.callId)
    return {
      hookSpecificOutput: {
        hookEventName: 'PreToolUse',
        permissionDecision: refusal === undefined ? 'allow' : 'deny',
        ...(refusal !== undefined && { permissionDecisionReason: refusal }),
      },
    }
  }

  async #afterTool(input: HookInput): Promise<HookJSONOutput> {
    if (input.hook_event_name !== 'PostToolUse' && input.hook_event_name !== 'PostToolUseFailure') return {}
    const { hook_event_name: hookEventName } = input
    const additionalContext = await this.#listener?.afterTool(useOf(input), endIn(input))
    return additionalContext === undefined ? {} : { hookSpecificOutput: { hookEventName, additionalContext } }
  }
}

const endIn = (input: PostToolUseHookInput | PostToolUseFailureHookInput): ToolEnd =>
  input.hook_event_name === 'PostToolUse'
    ? { status: 'completed', response: input.tool_response }
    : { status: 'failed', error: input.error }

interface ToolHookInput {
  readonly tool_use_id: string
  readonly tool_name: string
  readonly tool_input: unknown
  readonly agent_id?: string
  readonly agent_type?: string
}

function useOf({ tool_use_id, tool_name, tool_input, agent_id, agent_type }: ToolHookInput): ToolUse {
  const input = typeof tool_input === 'object' && tool_input !== null ? { ...tool_input } : {}
  return { callId: tool_use_id, name: tool_name, input, agent: agent_id === undefined ? undefined : agent_type }
}

/** What is said to the process, in order; at most one task at a time waits here. */
class Input implements AsyncIterable<SDKUserMessage> {
  readonly #waiting: SDKUserMessage[] = []
  #wake: () => void = () => undefined
  #isOver = false

  push(message: SDKUserMessage): void {
    this.#waiting.push(message)
    this.#wake()
  }

  end(): void {
    this.#isOver = true
    this.#wake()
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<SDKUserMessage, void, undefined> {
    while (!this.#isOver) {
      const next = this.#waiting.shift()
      if (next) yield next
      else await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }
}
