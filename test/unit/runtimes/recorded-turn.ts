/**
 * A turn whose journal is an array: what a worker would have on record, and what the next owner would start from.
 */
import { mkdtemp } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ModelMessage, ToolRequest } from '../../../src/models/model.js'
import { newTask, type Task } from '../../../src/protocol/session.js'
import { compactedMessages } from '../../../src/runtimes/compacted.js'
import type { Compaction } from '../../../src/runtimes/context-window.js'
import { recalledTask, taskPrompt, toolMessage } from '../../../src/runtimes/prompt.js'
import type { EffectClass, Journal, Progress, ToolOutcome, Turn } from '../../../src/runtimes/runtime.js'

export type Entry =
  | { readonly type: 'messageStarted'; readonly model: string }
  | { readonly type: 'text'; readonly text: string }
  | {
      readonly type: 'messageEnded'
      readonly toolCalls: readonly ToolRequest[]
      readonly finishReason: string
      readonly cost: number
      readonly tokens: number
    }
  | { readonly type: 'toolStarted'; readonly call: ToolRequest; readonly effect: EffectClass }
  | { readonly type: 'toolEnded'; readonly call: ToolRequest; readonly outcome: ToolOutcome }
  | { readonly type: 'compacted'; readonly compaction: Compaction }
  | { readonly type: 'recalled'; readonly text: string; readonly items: readonly string[] }
  | { readonly type: 'retold'; readonly reason: string }

export interface RecordedTurn {
  readonly turn: Turn
  readonly entries: Entry[]
  readonly abort: AbortController
  /** Times that `beforeEffect` was asked. */
  readonly effects: () => number
}

interface TurnOptions {
  readonly task:
    | (Parameters<typeof newTask>[0] & string)
    | { readonly description: string; readonly metadata?: Record<string, unknown> }
  /** What the last owner had recorded. */
  readonly entries?: readonly Entry[]
  readonly workspace?: string
  /** Called with each entry after it is recorded; throwing stops the turn as a crash would. */
  readonly onEntry?: (entry: Entry) => void
  readonly beforeEffect?: () => void
  /** What the charter answers; it allows everything when left out. */
  readonly permit?: Refuse
  /** What the budgets grant; everything when left out. */
  readonly reserve?: Turn['reserve']
  /** What the journal answers when a call is to begin. */
  readonly refusal?: (call: ToolRequest) => ToolOutcome | undefined
}

type Refuse = (call: ToolRequest, effect: EffectClass, wasInterrupted?: boolean) => ToolOutcome | undefined

export async function recordedTurn(options: TurnOptions): Promise<RecordedTurn> {
  const given = typeof options.task === 'string' ? { description: options.task } : options.task
  const task: Task = newTask({ type: 'general', priority: 'medium', ...given }, new Date(0))
  const entries: Entry[] = [...(options.entries ?? [])]
  const abort = new AbortController()
  let effects = 0
  const record = (entry: Entry) => {
    entries.push(entry)
    options.onEntry?.(entry)
  }
  const turn: Turn = {
    sessionId: 'session_000_test',
    tenant: 'test',
    owner: 'test',
    orchestratorId: 'default',
    task,
    progress: progressOf(task, options.entries ?? []),
    journal: journalOf(record, options.refusal ?? (() => undefined)),
    workspace: options.workspace ?? (await mkdtemp(join(tmpdir(), 'workspace-'))),
    options: {},
    epoch: 1,
    signal: abort.signal,
    permit: async (...asked) => options.permit?.(...asked),
    reserve: options.reserve ?? (async ({ maxTokens }) => ({ maxTokens, settle: async () => undefined })),
    past: async () => [],
    keyOf: (callId) => `session_000_test:1:${callId}`,
    beforeEffect() {
      effects++
      options.beforeEffect?.()
    },
  }
  return { turn, entries, abort, effects: () => effects }
}

function journalOf(record: (entry: Entry) => void, refusal: NonNullable<TurnOptions['refusal']>): Journal {
  return {
    async messageStarted(model) {
      record({ type: 'messageStarted', model })
      return 'msg'
    },
    text: (text) => record({ type: 'text', text }),
    async messageEnded({ toolCalls, finishReason, usage, cost }) {
      const tokens = usage.promptTokens + usage.completionTokens
      record({ type: 'messageEnded', toolCalls, finishReason, cost, tokens })
    },
    toolStarted: async (call, effect) => {
      record({ type: 'toolStarted', call, effect })
      return refusal(call)
    },
    toolEnded: async (call, outcome) => {
      record({ type: 'toolEnded', call, outcome })
      return outcome
    },
    compacted: async (compaction) => record({ type: 'compacted', compaction }),
    recalled: async (text, items) => record({ type: 'recalled', text, items }),
    retold: async (reason) => record({ type: 'retold', reason }),
  }
}

/** Rebuilds what a new owner knows from the entries alone. */
export function progressOf(task: Task, entries: readonly Entry[]): Progress {
  let messages: ModelMessage[] = [{ role: 'user', text: taskPrompt(task) }]
  let recalled = false
  let open: string | undefined
  let calls: (ToolRequest & { started: boolean })[] = []
  let steps = 0
  for (const entry of entries) {
    if (entry.type === 'messageStarted') open = ''
    else if (entry.type === 'text') open = (open ?? '') + entry.text
    else if (entry.type === 'messageEnded') {
      messages.push({ role: 'assistant', text: open ?? '', toolCalls: entry.toolCalls })
      calls = entry.toolCalls.map((call) => ({ ...call, started: false }))
      open = undefined
      steps++
    } else if (entry.type === 'toolStarted') {
      calls = calls.map((call) => (call.callId === entry.call.callId ? { ...call, started: true } : call))
    } else if (entry.type === 'compacted') {
      messages = [...compactedMessages(messages, entry.compaction)]
    } else if (entry.type === 'recalled') {
      recalled = true
      messages = messages.map((said) =>
        said.role === 'user' ? { ...said, text: recalledTask(said.text, entry.text) } : said,
      )
    } else if (entry.type === 'toolEnded') {
      calls = calls.filter((call) => call.callId !== entry.call.callId)
      messages.push(toolMessage(entry.call.callId, entry.outcome))
    }
  }
  return {
    messages,
    openMessage: open === undefined ? undefined : { messageId: 'msg', text: open },
    openCalls: calls,
    steps,
    recalled,
  }
}

export const textsOf = (entries: readonly Entry[]): string =>
  entries.map((entry) => (entry.type === 'text' ? entry.text : '')).join('')

export const typesOf = (entries: readonly Entry[]): string[] =>
  entries.map(({ type }) => type).filter((type) => type !== 'text')
