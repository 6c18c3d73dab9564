/**
 * The tool calls of one answer, run and recorded.
 */
import type { ModelMessage, ToolRequest } from '../models/model.js'
import type { Trace } from '../telemetry/tracing.js'
import { OUTCOME_UNKNOWN, toolMessage } from './prompt.js'
import { type EffectClass, isRepeatable, type ToolOutcome, type Turn } from './runtime.js'
import { toolEnd, toolSpan } from './tool-span.js'
import type { ToolContext } from './tools/tool.js'
import type { Toolbox } from './tools/toolbox.js'

/** Calls that run side by side; more would only queue at the disk, or at one server. */
const MAX_PARALLEL_CALLS = 8

/** A call to run; `started` when the last owner had begun it and nobody knows how far it came, `effect` as what. */
export type Call = ToolRequest & { readonly started?: boolean; readonly effect?: EffectClass }

/**
 * Runs `calls` and returns their results, both in the order of `calls`. Neighbours that may be repeated run together,
 * everything else alone. A started call that may not be repeated ends as failed, outcome unknown, unless a person lets it run
 * once more.
 */
export async function runCalls(turn: Turn, tools: Toolbox, calls: readonly Call[]): Promise<ModelMessage[]> {
  const results: ModelMessage[] = []
  const queue = tools.queue(calls.length)
  try {
    for (const batch of batches(calls, tools)) results.push(...(await runBatch(turn, tools, batch, queue.begins)))
  } finally {
    queue.leave()
  }
  return results
}

/** `begins` is told of each call that waits no longer. */
async function runBatch(
  turn: Turn,
  tools: Toolbox,
  batch: readonly Planned[],
  begins: () => void,
): Promise<ModelMessage[]> {
  turn.signal.throwIfAborted()
  const begun = await beginAll(turn, batch)
  const running = begun.map((each) => {
    begins()
    return outcomeOf(turn, tools, each)
  })
  // Where one ends the turn, the others are waited for: they may be at work in the workspace.
  const settled = Promise.allSettled(running)
  const results: ModelMessage[] = []
  try {
    for (const each of running) {
      const { call, outcome } = await each
      const final = await turn.journal.toolEnded(requestOf(call), outcome)
      results.push(toolMessage(call.callId, final))
    }
  } finally {
    await settled
  }
  return results
}

interface Planned {
  readonly call: Call
  readonly effect: EffectClass
}

interface Begun extends Planned {
  /** Why it does not run. */
  readonly refusal: ToolOutcome | undefined
}

/** One after the other where a human may be asked; all intents at once. */
async function beginAll(turn: Turn, batch: readonly Planned[]): Promise<Begun[]> {
  const judged: Begun[] = []
  for (const planned of batch) judged.push({ ...planned, refusal: await refusalOf(turn, planned) })
  return await Promise.all(judged.map(async (each) => ({ ...each, refusal: await noted(turn, each) })))
}

async function refusalOf({ permit }: Turn, { call, effect }: Planned): Promise<ToolOutcome | undefined> {
  // As it began, and as it would begin now: what a server says of its tools may have changed.
  const isKnown = isRepeatable(effect) && isRepeatable(call.effect ?? effect)
  const mayAsk = effect === 'ask' && (call.effect ?? 'ask') === 'ask'
  if (call.started && !isKnown && !mayAsk) return OUTCOME_UNKNOWN
  return await permit(requestOf(call), effect, call.started && mayAsk)
}

/** Notes the intent; a started call has one. */
async function noted({ journal }: Turn, { call, effect, refusal }: Begun): Promise<ToolOutcome | undefined> {
  if (call.started) return refusal
  // A call that is refused does nothing: that is what `read` says to whoever reads the journal.
  const begun = await journal.toolStarted(requestOf(call), refusal ? 'read' : effect)
  return refusal ?? begun
}

function batches(calls: readonly Call[], tools: Toolbox): Planned[][] {
  const groups: Planned[][] = []
  for (const call of calls) {
    const planned = { call, effect: tools.effectOf(call.name, call.input) }
    const last = groups.at(-1)
    if (last && last.length < MAX_PARALLEL_CALLS && fits(last, planned, tools)) last.push(planned)
    else groups.push([planned])
  }
  return groups
}

/** Whether nobody can tell in which order they run. */
function fits(batch: readonly Planned[], planned: Planned, tools: Toolbox): boolean {
  if (!isRepeatable(planned.effect) || !batch.every(({ effect }) => isRepeatable(effect))) return false
  const shared = tools.sharedBy(planned.call.name)
  if (shared === undefined) return true
  const others = batch.filter(({ call }) => tools.sharedBy(call.name) === shared)
  return others.length === 0 || [planned, ...others].every(({ effect }) => effect === 'read')
}

async function outcomeOf(turn: Turn, tools: Toolbox, { call, effect, refusal }: Begun) {
  if (refusal) return { call, outcome: refusal }
  turn.beforeEffect()
  const context = effect === 'idempotent' ? { ...turn, idempotencyKey: turn.keyOf(call.callId) } : turn
  const outcome = await (turn.trace ? runTraced(turn.trace, tools, call, context) : tools.run(requestOf(call), context))
  return { call, outcome }
}

async function runTraced(trace: Trace, tools: Toolbox, call: Call, context: ToolContext): Promise<ToolOutcome> {
  const span = toolSpan(trace, call)
  try {
    const outcome = await tools.run(requestOf(call), { ...context, traceparent: span.traceparent })
    span.end(toolEnd(outcome))
    return outcome
  } finally {
    span.end({ error: 'aborted' })
  }
}

const requestOf = ({ callId, name, input }: Call): ToolRequest => ({ callId, name, input })
