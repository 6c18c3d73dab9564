/**
 * What is counted of calls to model vendors and of tool calls.
 */
import { Counter, Gauge, Histogram, type Registry, Summary } from 'prom-client'
import { LabelLimit, MAX_MODELS, MAX_TOOLS } from './label-limit.js'
import { UNKNOWN } from './message-types.js'

export interface ModelCall {
  readonly provider: string
  readonly model: string
  readonly seconds: number
  readonly promptTokens: number
  readonly completionTokens: number
  readonly costDollars: number
  /** Code of the failure, when it failed. */
  readonly error?: string
}

export interface ToolCall {
  readonly name: string
  readonly seconds: number
  readonly status: string
}

export interface CallMetrics {
  modelCall(call: ModelCall): void
  toolCall(call: ToolCall): void
  /** So many more calls, or fewer, wait for their turn or for a person. */
  toolsWaiting(change: number): void
  /** Who was last called for a model. */
  providerOf(model: string): string
}

const MODEL_BUCKETS_S = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120]
/** From a small file to the longest command that may run. */
const TOOL_BUCKETS_S = [0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 600]
export const PERCENTILES = [0.5, 0.9, 0.99]
/** Summaries tell of the last ten minutes. */
export const SUMMARY_WINDOW = { maxAgeSeconds: 600, ageBuckets: 5 }

export function callMetrics(registry: Registry): CallMetrics {
  const models = new LabelLimit(MAX_MODELS)
  const providers = new Map<string, string>()
  const count = modelFamilies(registry)
  return {
    modelCall: (call) => {
      const model = models.of(call.model)
      if (model === call.model) providers.set(model, call.provider)
      count({ ...call, model })
    },
    toolCall: toolFamilies(registry),
    toolsWaiting: toolQueue(registry),
    providerOf: (model) => providers.get(model) ?? UNKNOWN,
  }
}

function modelFamilies(registry: Registry): (call: ModelCall) => void {
  const registers = [registry]
  const labelNames = ['provider', 'model']
  const counter = (name: string, help: string, more: string[] = []) =>
    new Counter({ name, help, labelNames: [...labelNames, ...more], registers })
  const requests = counter('wundr_model_requests_total', 'Model calls')
  const tokens = counter('wundr_model_request_tokens_total', 'Tokens read and written by models', ['token_type'])
  const cost = counter('wundr_model_cost_dollars_total', 'Cost of model calls')
  const errors = counter('wundr_model_errors_total', 'Failed model calls', ['error_type'])
  const rateLimited = counter('wundr_model_rate_limited_total', 'Model calls that the vendor refused as too many')
  const name = 'wundr_model_request_duration_seconds'
  const durations = new Histogram({ name, help: 'Duration of calls', labelNames, buckets: MODEL_BUCKETS_S, registers })
  const usage = new Summary({
    name: 'wundr_token_usage_summary',
    help: 'Tokens of one model call',
    percentiles: PERCENTILES,
    ...SUMMARY_WINDOW,
    labelNames,
    registers,
  })
  return ({ provider, model, ...call }) => {
    const labels = { provider, model }
    requests.inc(labels)
    durations.observe(labels, call.seconds)
    if (call.error === 'rate_limit') rateLimited.inc(labels)
    if (call.error !== undefined) {
      errors.inc({ ...labels, error_type: call.error })
      return
    }
    tokens.inc({ ...labels, token_type: 'prompt' }, call.promptTokens)
    tokens.inc({ ...labels, token_type: 'completion' }, call.completionTokens)
    usage.observe(labels, call.promptTokens + call.completionTokens)
    cost.inc(labels, call.costDollars)
  }
}

function toolQueue(registry: Registry): CallMetrics['toolsWaiting'] {
  const depth = new Gauge({
    name: 'wundr_tool_queue_depth',
    help: 'Tool calls that were asked for and do not run yet: they wait for those before them, or for a person',
    registers: [registry],
  })
  return (change) => depth.inc(change)
}

function toolFamilies(registry: Registry): (call: ToolCall) => void {
  const registers = [registry]
  const limit = new LabelLimit(MAX_TOOLS)
  const labelNames = ['tool_name', 'status']
  const total = new Counter({ name: 'wundr_tool_execution_total', help: 'Tools that ran', labelNames, registers })
  const durations = new Histogram({
    name: 'wundr_tool_execution_duration_seconds',
    help: 'How long tools ran',
    labelNames,
    buckets: TOOL_BUCKETS_S,
    registers,
  })
  const errors = new Counter({
    name: 'wundr_tool_errors_total',
    help: 'Tools that did not do what they were asked',
    labelNames: ['tool_name', 'error_type'],
    registers,
  })
  return ({ name, seconds, status }) => {
    const tool_name = limit.of(name)
    total.inc({ tool_name, status })
    durations.observe({ tool_name, status }, seconds)
    if (status !== 'success') errors.inc({ tool_name, error_type: status })
  }
}
