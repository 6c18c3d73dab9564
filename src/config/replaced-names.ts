/**
 * Names that the reference reads from the environment and that are no settings here: what does their work instead.
 */

export const REPLACED_NAMES: ReadonlyMap<string, string> = new Map([
  ['ORCHESTRATOR_MODEL', 'OPENAI_MODEL or ANTHROPIC_MODEL name the model of sessions that name none'],
  ['ORCHESTRATOR_TEMPERATURE', 'models answer with a temperature of their own'],
  ['ORCHESTRATOR_TIMEOUT_MS', 'a session that is silent ends by SESSION_TIMEOUT'],
  ['TRACING_ENABLED', 'traces are switched on by OTEL_EXPORTER_OTLP_ENDPOINT, and off by OTEL_SDK_DISABLED'],
  ['TRACING_SAMPLE_RATE', 'traces are sampled by OTEL_TRACES_SAMPLER=traceidratio and OTEL_TRACES_SAMPLER_ARG'],
  ['TRACING_MAX_SPANS', 'spans wait for their collector within OTEL_BSP_MAX_QUEUE_SIZE'],
  ['TRACING_SPAN_TTL_MS', 'spans go to a collector, which keeps them'],
])
