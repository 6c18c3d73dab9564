/**
 * Hooks: commands of the operator that run before a tool call, where they may refuse it or have a person asked, and after
 * one, where they may add a word for the model. They are told about the call on stdin, as JSON.
 *
 *   PreToolUse ─▶ exit 0: no objection · exit 2: refused, stderr says why · JSON: deny, ask · anything else: it failed
 *   PostToolUse ─▶ exit 0 · exit 2, or JSON: a word for the model · anything else: it failed, and is passed over
 */
import { mkdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { z } from 'zod'
import type { ToolRequest } from '../../models/model.js'
import type { PluginRun } from '../../telemetry/metrics.js'
import type { Verdict } from '../gate.js'
import type { ToolOutcome } from '../runtime.js'
import { commandEnvironment, TMP_DIRECTORY } from '../tools/bash.js'
import { type CommandEnd, runCommand, shellCommand } from '../tools/command-run.js'
import type { Supervisor } from '../tools/supervisor.js'
import type { Hook, HookEvent } from './hook-file.js'

/** A call, and where it runs. */
export interface HookedCall {
  readonly sessionId: string
  readonly taskId: string
  /** Absolute path of the session's own directory. */
  readonly workspace: string
  readonly call: ToolRequest
}

export interface ToolHooks {
  /** What hooks say of a call that is about to run. Rejects with the signal's reason when it is aborted. */
  before(call: HookedCall, signal: AbortSignal): Promise<Verdict>
  /** The outcome with what hooks add to it; undefined when there is none for this tool. Rejects as `before` does. */
  after(call: HookedCall, outcome: ToolOutcome, signal: AbortSignal): Promise<ToolOutcome | undefined>
}

export interface CommandHooksOptions {
  readonly hooks: readonly Hook[]
  /** Words to put before the command; see `detectSandbox`. */
  readonly sandbox: readonly string[]
  /** Nobody watches over the commands when left out. */
  readonly supervisor?: Pick<Supervisor, 'watch'>
  readonly log: { warn(fields: object, text: string): void }
  /** Told of every hook that ended. */
  readonly onRan?: (run: PluginRun) => void
}

/** Exit code of a hook that objects. */
const OBJECTS = 2
/** Of what it prints; a sentence or two are for the model, the rest for the log. */
const MAX_OUTPUT_BYTES = 16 * 1024
const MAX_WORDS_CHARS = 2_000
/** Of a command, as a rule is named. */
const NAMED_CHARS = 80
const MS_PER_SECOND = 1_000
const ALLOWED: Verdict = { decision: 'allow' }

const answerSchema = z.object({
  decision: z.enum(['block', 'approve']).optional(),
  reason: z.string().optional(),
  hookSpecificOutput: z
    .object({
      permissionDecision: z.enum(['allow', 'deny', 'ask']).optional(),
      permissionDecisionReason: z.string().optional(),
      additionalContext: z.string().optional(),
    })
    .optional(),
})

/** How a hook ended. */
type Word =
  | { readonly kind: 'fine' }
  | { readonly kind: 'deny' | 'ask' | 'note'; readonly text: string }
  | { readonly kind: 'failed'; readonly text: string; readonly isLate?: boolean }

export class CommandHooks implements ToolHooks {
  readonly #options: CommandHooksOptions

  constructor(options: CommandHooksOptions) {
    this.#options = options
  }

  /** The first one that refuses decides, and no other runs then. */
  async before(about: HookedCall, signal: AbortSignal): Promise<Verdict> {
    let verdict = ALLOWED
    for (const hook of this.#fitting('PreToolUse', about)) {
      const word = await this.#ask(hook, about, {}, signal)
      const rule = `${hook.event}: ${hook.command.slice(0, NAMED_CHARS)}`
      if (word.kind === 'deny') return { decision: 'deny', reason: refusedBecause(word.text), rule }
      if (word.kind === 'failed' && hook.onFailure === 'block') {
        return { decision: 'deny', reason: refusedBecause(`the hook that must judge it ${word.text}`), rule }
      }
      if (word.kind === 'ask') verdict = { decision: 'ask', reason: askedBecause(word.text), rule, level: 'confirm' }
    }
    return verdict
  }

  async after(about: HookedCall, outcome: ToolOutcome, signal: AbortSignal): Promise<ToolOutcome | undefined> {
    const hooks = this.#fitting('PostToolUse', about)
    if (hooks.length === 0) return undefined
    const response = outcome.status === 'completed' ? outcome.result : { error: outcome.error }
    const notes: string[] = []
    for (const hook of hooks) {
      const word = await this.#ask(hook, about, { tool_response: response }, signal)
      if (word.kind === 'deny' || word.kind === 'note') notes.push(word.text)
    }
    return notes.length === 0 ? outcome : { ...outcome, note: notes.join('\n') }
  }

  #fitting(event: HookEvent, { call }: HookedCall): readonly Hook[] {
    return this.#options.hooks.filter((hook) => hook.event === event && hook.fits(call.name))
  }

  async #ask(hook: Hook, about: HookedCall, more: object, signal: AbortSignal): Promise<Word> {
    const startedAt = performance.now()
    const word = await this.#run(hook, about, more, signal)
    this.#tell(hook, word, startedAt)
    if (word.kind === 'failed') {
      const { sessionId, call } = about
      this.#options.log.warn({ sessionId, tool: call.name, hook: hook.command, why: word.text }, 'a hook failed')
    }
    return word
  }

  #tell({ event, command }: Hook, word: Word, startedAt: number): void {
    const seconds = (performance.now() - startedAt) / MS_PER_SECOND
    const error = word.kind !== 'failed' ? undefined : word.isLate ? 'timeout' : 'failed'
    this.#options.onRan?.({ name: programOf(command), use: event, seconds, error })
  }

  async #run(hook: Hook, about: HookedCall, more: object, signal: AbortSignal): Promise<Word> {
    const { workspace } = about
    const { sandbox, supervisor } = this.#options
    try {
      await mkdir(join(workspace, TMP_DIRECTORY), { recursive: true, mode: 0o700 })
      const plan = {
        command: shellCommand(sandbox, hook.command),
        cwd: workspace,
        // The same as for a command of the session: nothing of the daemon's own.
        env: commandEnvironment(workspace),
        input: JSON.stringify({ ...inputOf(hook.event, about), ...more }),
        timeoutMs: hook.timeoutMs,
        maxOutputBytes: MAX_OUTPUT_BYTES,
      }
      const end = await runCommand(supervisor, plan, signal)
      return wordOf(hook, end)
    } catch (error) {
      if (signal.aborted) throw signal.reason
      return { kind: 'failed', text: `could not be started: ${error instanceof Error ? error.message : error}` }
    }
  }
}

/** What a hook is counted as: its arguments are nobody's business on a page of figures. */
const programOf = (command: string): string => basename(command.trim().split(/\s/, 1)[0] ?? '')

/** The names are those that hooks of Claude Code know. */
function inputOf(event: HookEvent, { sessionId, taskId, workspace, call }: HookedCall): object {
  return {
    hook_event_name: event,
    session_id: sessionId,
    task_id: taskId,
    cwd: workspace,
    tool_name: call.name,
    tool_input: call.input,
    tool_use_id: call.callId,
  }
}

function wordOf({ timeoutMs }: Hook, { code, timedOut, stdout, stderr }: CommandEnd): Word {
  if (timedOut) return { kind: 'failed', text: `took longer than ${timeoutMs} ms`, isLate: true }
  if (code === OBJECTS) return { kind: 'deny', text: words(stderr) || 'it gave no reason' }
  if (code !== 0) return { kind: 'failed', text: `ended with exit code ${code}: ${words(stderr)}` }
  return answerIn(stdout)
}

/** What it prints is its answer when that is JSON of the known shape, and talk otherwise. */
function answerIn(stdout: string): Word {
  const answer = answerSchema.safeParse(jsonIn(stdout)).data
  const { permissionDecision, permissionDecisionReason, additionalContext } = answer?.hookSpecificOutput ?? {}
  const text = words(permissionDecisionReason ?? answer?.reason ?? '') || 'it gave no reason'
  if (permissionDecision === 'deny' || answer?.decision === 'block') return { kind: 'deny', text }
  if (permissionDecision === 'ask') return { kind: 'ask', text }
  return additionalContext === undefined ? { kind: 'fine' } : { kind: 'note', text: words(additionalContext) }
}

function jsonIn(text: string): unknown {
  try {
    return text.trimStart().startsWith('{') ? JSON.parse(text) : undefined
  } catch {
    return undefined // Talk that begins like JSON.
  }
}

const words = (text: string): string => text.trim().slice(0, MAX_WORDS_CHARS)

const refusedBecause = (why: string): string =>
  `A hook of this service refused the call: ${why}. Do not try it another way; go on without it, or say what you need.`

const askedBecause = (why: string): string => `A hook of this service wants a person to approve this call: ${why}.`
