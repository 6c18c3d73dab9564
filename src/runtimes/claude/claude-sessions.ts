/**
 * Turns of sessions that are carried out by Claude Code: a process per session, taken warm or started anew from the
 * session's transcript, and a recorder that writes the journal from what it says.
 *
 *   turn ── prompt ──▶ claude (stdin)        claude ── messages, hooks ──▶ recorder ──▶ journal
 *                      claude ── model calls ──▶ gateway ──▶ vendor       SDK ── transcript ──▶ Postgres
 */
import { randomUUID } from 'node:crypto'
import type { ToolRequest, Usage } from '../../models/model.js'
import { ServiceError } from '../../protocol/errors.js'
import type { ModelCall, ToolCall } from '../../telemetry/metrics.js'
import { statusOfTool } from '../../telemetry/tool-status.js'
import { NOT_BEGUN, OUTCOME_UNKNOWN } from '../prompt.js'
import {
  type EffectClass,
  finishedAnswer,
  type Stopping,
  type TaskResult,
  type ToolOutcome,
  type Turn,
} from '../runtime.js'
import type { Supervisor } from '../tools/supervisor.js'
import { BudgetedCalls } from './budgeted-calls.js'
import type { ClaudeProcess } from './claude-process.js'
import { removeHomesOfTheDead } from './environment.js'
import { CannotResume } from './failure.js'
import { type LiveLimits, LiveProcesses } from './live-processes.js'
import { ModelGateway } from './model-gateway.js'
import { pathRefusal } from './own-paths.js'
import { promptOf, storyOf } from './prompts.js'
import { type LoadSdk, loadSdk, type Sdk } from './sdk.js'
import { type ClaudeKind, startProcess } from './start-process.js'
import type { Transcripts } from './transcript.js'
import { TurnRecorder } from './turn-recorder.js'

const OFFICIAL_URL = 'https://api.anthropic.com'
/** Names that a model made up are counted as one. */
const UNKNOWN_TOOL = 'unknown'
/** The one that was spoiled longest ago is tried once more, and fails one task more. */
const MAX_SPOILED = 10_000
const SPOILED = 'the vendor did not take it any more'
const NOTHING_KEPT = 'nothing of it was kept'

export type { ClaudeKind } from './start-process.js'

export interface ClaudeParts {
  /** Model of sessions that name none. */
  readonly model: string
  /** Path of Claude Code, in place of the one that the SDK brings. */
  readonly program?: string | undefined
  readonly apiKey: string | undefined
  /** Any server that speaks the messages API, instead of the vendor's. */
  readonly baseUrl: string | undefined
  readonly costOf: (model: string, usage: Usage) => number
  readonly transcripts: Transcripts
  /** Words to put before the program; see `detectSandbox`. */
  readonly sandbox: readonly string[]
  /** Nobody watches over the processes when left out. */
  readonly supervisor?: Pick<Supervisor, 'watch'>
  readonly limits: LiveLimits
  readonly onToolCall?: (call: ToolCall) => void
  /** So many more calls, or fewer, wait for what the charter or a person says. */
  readonly onToolWaiting?: (change: number) => void
  readonly onModelCall?: (call: ModelCall) => void
  readonly loadSdk?: LoadSdk
}

/** What one process is to do for a turn. */
interface Undertaking {
  readonly recorder: TurnRecorder
  readonly calls: BudgetedCalls
  readonly prompt: string
}

export class ClaudeSessions {
  readonly #parts: ClaudeParts
  readonly #gateway: ModelGateway
  readonly #live: LiveProcesses
  /** Sessions whose conversation the vendor refused as a whole: the next task begins it anew. */
  readonly #spoiled = new Set<string>()
  #swept: Promise<void> | undefined

  constructor(parts: ClaudeParts) {
    this.#parts = parts
    this.#gateway = new ModelGateway({ upstream: parts.baseUrl ?? OFFICIAL_URL, apiKey: parts.apiKey })
    this.#live = new LiveProcesses(parts.limits)
  }

  /** Leaders of the process groups that live now. */
  pids(): number[] {
    return this.#live.pids()
  }

  /** Ends the process that was kept for a next task; see Runtime.forget. */
  forget(sessionId: string): void {
    this.#spoiled.delete(sessionId)
    this.#live.forget(sessionId)
  }

  /** Ends all processes; may be called twice. */
  async stop(): Promise<void> {
    await this.#live.stop()
    await this.#gateway.stop()
  }

  /** @throws ServiceError `anthropic_key_missing`, `runtime_missing`, `runtime_failed`, `model_*`, `too_many_steps` */
  async run(turn: Turn, kind: ClaudeKind): Promise<TaskResult> {
    const finished = finishedAnswer(turn)
    if (finished !== undefined) return { output: finished }
    if (!this.#parts.apiKey && !this.#parts.baseUrl) throw new ServiceError('anthropic_key_missing')
    const sdk = await loadSdk(kind.type, this.#parts.loadSdk)
    // A directory that cannot be removed is in nobody's way.
    this.#swept ??= removeHomesOfTheDead().catch(() => undefined)
    await closeLeftovers(turn)
    const attempt = (broken?: string) => this.#attempt(turn, kind, sdk, broken)
    try {
      return { output: await attempt(this.#spoiled.has(turn.sessionId) ? SPOILED : undefined) }
    } catch (error) {
      if (!(error instanceof CannotResume)) throw error
      return { output: await attempt(error.message) }
    }
  }

  /** `broken` is why the conversation begins anew, where it does. @throws CannotResume when it should have */
  async #attempt(turn: Turn, kind: ClaudeKind, sdk: Sdk, broken: string | undefined): Promise<string> {
    const anew = broken !== undefined
    const start = () => startProcess({ ...this.#parts, gateway: this.#gateway, turn, kind, sdk, anew })
    const process = await this.#live.take(turn.sessionId, this.#versionOf(turn), start, turn.signal)
    const isFirst = process.isNew
    const recorder = this.#recorder(turn, kind, process)
    const calls = new BudgetedCalls(turn)
    let keep = false
    try {
      const prompt = isFirst && !process.isResumed ? await retold(turn, broken) : promptOf(turn)
      const output = await this.#work(turn, process, { recorder, calls, prompt })
      keep = !recorder.hasLostWrites
      if (anew) this.#spoiled.delete(turn.sessionId)
      return output
    } catch (error) {
      keep = await settle(turn, process, recorder)
      if (turn.signal.aborted) throw error
      if (isFirst && process.isResumed && calls.asked === 0 && isFailed(error)) throw new CannotResume(error.message)
      if ((process.isResumed || !isFirst) && !recorder.hasAnswer && isRefusedAsWhole(error)) {
        keep = false
        this.#spoil(turn.sessionId)
      }
      throw error
    } finally {
      process.silence()
      await this.#live.release(turn.sessionId, process, keep)
    }
  }

  /** The vendor does not take this conversation: sent once more, it would fail every task from now on. */
  #spoil(sessionId: string): void {
    this.#spoiled.add(sessionId)
    for (const oldest of this.#spoiled.size > MAX_SPOILED ? this.#spoiled : []) {
      this.#spoiled.delete(oldest)
      return
    }
  }

  /** A process goes on only under the ownership that it began under: others may have led the conversation meanwhile. */
  #versionOf({ epoch, options }: Turn): string {
    return JSON.stringify([epoch, options, options.model ?? this.#parts.model])
  }

  async #work(turn: Turn, process: ClaudeProcess, { recorder, calls, prompt }: Undertaking): Promise<string> {
    const { signal } = turn
    const onAbort = () => recorder.close(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      signal.throwIfAborted()
      turn.beforeEffect()
      process.listen(recorder, calls)
      process.say(prompt, randomUUID())
      const output = await recorder.done
      if (calls.refusal) throw calls.refusal
      return output
    } catch (error) {
      // Claude Code says in words of its own that a call was refused.
      throw signal.aborted ? error : (calls.refusal ?? error)
    } finally {
      signal.removeEventListener('abort', onAbort)
    }
  }

  #recorder(turn: Turn, kind: ClaudeKind, process: ClaudeProcess): TurnRecorder {
    const { costOf, onToolCall, onToolWaiting, onModelCall } = this.#parts
    const roots = [turn.workspace, process.scratch] as const
    return new TurnRecorder(turn, {
      costOf,
      effectOf: (tool, input) => kind.effectOf(tool, input),
      refusalOf: async (call, effect) => {
        onToolWaiting?.(1)
        return await refusalOf(turn, roots, call, effect).finally(() => onToolWaiting?.(-1))
      },
      onAnswer: (model, seconds, { promptTokens, completionTokens }, costDollars) =>
        onModelCall?.({ provider: 'anthropic', model, seconds, promptTokens, completionTokens, costDollars }),
      onToolEnded: (tool, seconds, outcome) => {
        const name = /^[A-Z][A-Za-z]+$|^mcp__/.test(tool) ? tool : UNKNOWN_TOOL
        onToolCall?.({ name, seconds, status: statusOfTool(outcome) })
      },
    })
  }
}

/** The session's own directory first, which no charter opens; then whatever the charter says. */
async function refusalOf(
  turn: Turn,
  roots: readonly [string, ...string[]],
  call: ToolRequest,
  effect: EffectClass,
): Promise<ToolOutcome | undefined> {
  const error = await pathRefusal(roots, call.name, call.input)
  return error === undefined ? await turn.permit(call, effect) : { status: 'failed', error }
}

/** Ends what a former owner began: none of it can be gone on with but the session's own open message. */
async function closeLeftovers({ progress, journal }: Turn): Promise<void> {
  if (progress.openMessage?.agent !== undefined) {
    const usage = { promptTokens: 0, completionTokens: 0 }
    await journal.messageEnded({ toolCalls: [], finishReason: 'cancelled', usage, cost: 0 })
  }
  for (const { callId, name, input, started } of progress.openCalls) {
    await journal.toolEnded({ callId, name, input }, started ? OUTCOME_UNKNOWN : NOT_BEGUN)
  }
}

/** The prompt of a new conversation, which is told what an older one held. `broken` is why it is not gone on with. */
async function retold(turn: Turn, broken = NOTHING_KEPT): Promise<string> {
  const story = storyOf(turn, await turn.past())
  if (story === undefined) return promptOf(turn)
  await turn.journal.retold(broken)
  return `${story}\n\n${promptOf(turn)}`
}

const isFailed = (error: unknown): error is ServiceError =>
  error instanceof ServiceError && error.code === 'runtime_failed'

const isRefusedAsWhole = (error: unknown): boolean =>
  error instanceof ServiceError && error.code === 'model_invalid_request' && error.details.status === 400

/** Whether the process may be kept after a turn that did not end well. */
async function settle(turn: Turn, process: ClaudeProcess, recorder: TurnRecorder): Promise<boolean> {
  const stopping = turn.signal.aborted ? (turn.signal.reason as Stopping).kind : undefined
  const isOurs = stopping === undefined || stopping === 'cancelled' || stopping === 'stopped'
  if (!isOurs || recorder.hasLostWrites) return false
  return await process.interrupt(recorder.over)
}
