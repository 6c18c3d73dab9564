/**
 * The tool calls of one answer, run and recorded.
 */
import type { ModelMessage, ToolRequest } from '../models/model.js'
import { OUTCOME_UNKNOWN, toolMessage } from './prompt.js'
import { type EffectClass, isRepeatable, type ToolOutcome, type Turn } from './runtime.js'
import type { Toolbox } from './tools/toolbox.js'

/** Reads run side by side; more would only queue at the disk. */
const MAX_PARALLEL_READS = 8

/** A call to run; `started` when the last owner had begun it and nobody knows how far it came. */
export type Call = ToolRequest & { readonly started?: boolean }

/**
 * Runs `calls` and returns their results in order. Neighbouring `read` calls run together, everything else alone. A
 * started call that may not be repeated ends as failed, outcome unknown.
 */
export async function runCalls(turn: Turn, tools: Toolbox, calls: readonly Call[]): Promise<ModelMessage[]> {
  const results: ModelMessage[] = []
  for (const batch of batches(calls, (call) => tools.effectOf(call.name, call.input))) {
    turn.signal.throwIfAborted()
    const begun: Begun[] = []
    for (const planned of batch) begun.push({ ...planned, refusal: await begin(turn, planned) })
    const outcomes = await Promise.all(begun.map((each) => outcomeOf(turn, tools, each)))
    for (const { call, outcome } of outcomes) {
      await turn.journal.toolEnded(requestOf(call), outcome)
      results.push(toolMessage(call.callId, outcome))
    }
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

async function begin({ journal, permit }: Turn, { call, effect }: Planned): Promise<ToolOutcome | undefined> {
  if (call.started && !isRepeatable(effect)) return OUTCOME_UNKNOWN
  const request = requestOf(call)
  const refusal = await permit(request, effect)
  if (call.started) return refusal
  // A call that is refused does nothing: that is what `read` says to whoever reads the journal.
  const begun = await journal.toolStarted(request, refusal ? 'read' : effect)
  return refusal ?? begun
}

function batches(calls: readonly Call[], effectOf: (call: Call) => EffectClass): Planned[][] {
  const groups: Planned[][] = []
  for (const call of calls) {
    const planned = { call, effect: effectOf(call) }
    const last = groups.at(-1)
    const bothRead = planned.effect === 'read' && last?.[0]?.effect === 'read'
    if (bothRead && last.length < MAX_PARALLEL_READS) last.push(planned)
    else groups.push([planned])
  }
  return groups
}

async function outcomeOf(turn: Turn, tools: Toolbox, { call, refusal }: Begun) {
  if (refusal) return { call, outcome: refusal }
  turn.beforeEffect()
  return { call, outcome: await tools.run(requestOf(call), turn) }
}

const requestOf = ({ callId, name, input }: Call): ToolRequest => ({ callId, name, input })
