/**
 * A tool call in traces, by the conventions of OpenTelemetry for generative AI. What it was given and what came of it are
 * not told.
 */
import type { ToolRequest } from '../models/model.js'
import type { Span, SpanEnd, Trace } from '../telemetry/tracing.js'
import type { ToolOutcome } from './runtime.js'

/** A model may make up any name. */
const MAX_NAME_CHARS = 64

export function toolSpan(
  trace: Trace,
  { callId, name }: Pick<ToolRequest, 'callId' | 'name'>,
  startedAt?: number,
): Span {
  const tool = name.slice(0, MAX_NAME_CHARS)
  const attributes = {
    ...{ 'gen_ai.operation.name': 'execute_tool', 'gen_ai.tool.type': 'function' },
    ...{ 'gen_ai.tool.name': tool, 'gen_ai.tool.call.id': callId },
  }
  return trace.child(`execute_tool ${tool}`, { attributes, ...(startedAt !== undefined && { startedAt }) })
}

export const toolEnd = ({ status }: ToolOutcome): SpanEnd => (status === 'completed' ? {} : { error: 'tool_failed' })
