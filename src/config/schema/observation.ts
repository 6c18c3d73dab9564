/**
 * Settings of what can be seen from outside: logs, metrics, health.
 */
import {
  choice,
  debugSwitch,
  flag,
  fraction,
  type Kind,
  milliseconds,
  port,
  text,
  url,
  urlPath,
  wholeNumber,
} from '../kinds.js'
import { optional, setting } from '../setting.js'

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

export const LOG_FORMATS = ['json', 'text'] as const
export type LogFormat = (typeof LOG_FORMATS)[number]

/** As the standard names them: with `parentbased_`, what a client's trace says of itself comes first. */
const SAMPLERS = [
  'always_on',
  'always_off',
  'traceidratio',
  'parentbased_always_on',
  'parentbased_always_off',
  'parentbased_traceidratio',
] as const
export type SamplerName = (typeof SAMPLERS)[number]

const OTLP_PROTOCOLS = ['http/protobuf', 'http/json'] as const
export type OtlpProtocol = (typeof OTLP_PROTOCOLS)[number]

const otlpProtocol: Kind<OtlpProtocol> = {
  ...choice(OTLP_PROTOCOLS),
  expected: `one of ${OTLP_PROTOCOLS.join(', ')} (grpc is not offered: collectors take both of these at port 4318)`,
}

const MAX_LOG_MB = 10_240
const MAX_LOG_FILES = 1_000
/** A KB or two each. */
const MAX_WAITING_SPANS = 100_000

const ms = { unit: 'milliseconds' } as const

export const logging = {
  level: setting('LOG_LEVEL', choice(LOG_LEVELS), 'info', 'Least important kind of line that is logged', {
    flag: 'logLevel',
    live: true,
  }),
  format: setting('LOG_FORMAT', choice(LOG_FORMATS), 'json', 'json for machines, text for people', {
    flag: 'logFormat',
  }),
  debug: setting('DEBUG', debugSwitch, 'false', 'true or * logs at level debug, as DAEMON_VERBOSE does', {
    live: true,
  }),
  file: optional('LOG_FILE', text, 'File for the log, beside standard output; full ones get a number'),
  rotationEnabled: setting('LOG_ROTATION_ENABLED', flag, 'true', 'Begin a new log file when one is full'),
  maxSizeMb: setting('LOG_MAX_SIZE', wholeNumber(1, MAX_LOG_MB), '10', 'When a log file is full', {
    unit: 'megabytes',
    live: true,
  }),
  maxFiles: setting('LOG_MAX_FILES', wholeNumber(1, MAX_LOG_FILES), '5', 'Log files that are kept', { live: true }),
}

export const monitoring = {
  metricsEnabled: setting('METRICS_ENABLED', flag, 'true', 'Serve metrics, /health, /ready and /live', {
    aliases: ['ENABLE_METRICS'],
  }),
  metricsHost: setting('METRICS_HOST', text, '127.0.0.1', 'Address for metrics'),
  metricsPort: setting('METRICS_PORT', port, '9090', 'Port for metrics; 0 takes a free one'),
  metricsTls: setting('METRICS_TLS', flag, 'false', 'Metrics speak TLS, with the certificate of DAEMON_TLS_CERT_FILE'),
  metricsPath: setting('METRICS_PATH', urlPath, '/metrics', 'Path of the metrics'),
  metricsIntervalMs: setting(
    'METRICS_INTERVAL',
    milliseconds(1),
    '60000',
    'Between two lines of the log that tell the main figures',
    ms,
  ),
  healthEnabled: setting('HEALTH_CHECK_ENABLED', flag, 'true', 'Answer health checks on the client port'),
  healthPath: setting('HEALTH_CHECK_PATH', urlPath, '/health', 'Path of the health check'),
  dashboardEnabled: setting('DASHBOARD_ENABLED', flag, 'true', 'Serve the dashboard at /ui on the client port'),
  healthTimeoutMs: setting(
    'HEALTH_CHECK_TIMEOUT',
    milliseconds(1),
    '5000',
    'For one part of the system to answer a check',
    ms,
  ),
  healthCheckIntervalMs: setting(
    'DAEMON_HEALTH_CHECK_INTERVAL',
    milliseconds(100),
    '60000',
    'Between looks at the parts of the system; changes are logged',
    ms,
  ),
}

/** The names are those of OpenTelemetry; what it reads beside them (OTEL_BSP_*, OTEL_SPAN_*) counts too. */
export const tracing = {
  enabled: optional(
    'TRACING_ENABLED',
    flag,
    'false switches tracing off; true without a collector means one at http://localhost:4318',
  ),
  endpoint: optional(
    'OTEL_EXPORTER_OTLP_ENDPOINT',
    url('http', 'https'),
    'Collector of traces, such as http://localhost:4318; without one nothing is traced',
    { aliases: ['TRACING_ENDPOINT'] },
  ),
  tracesEndpoint: optional(
    'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT',
    url('http', 'https'),
    'Whole address of that collector, instead of the one above with /v1/traces',
  ),
  protocol: setting('OTEL_EXPORTER_OTLP_PROTOCOL', otlpProtocol, 'http/protobuf', 'How traces are written; not grpc'),
  tracesProtocol: optional('OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', otlpProtocol, 'The same, before the one above'),
  headers: optional('OTEL_EXPORTER_OTLP_HEADERS', text, 'What the collector is shown: name=value,name=value', {
    secret: true,
  }),
  serviceName: setting('OTEL_SERVICE_NAME', text, 'orchestrator-daemon', 'Name of this service in traces', {
    aliases: ['TRACING_SERVICE_NAME'],
  }),
  resourceAttributes: optional('OTEL_RESOURCE_ATTRIBUTES', text, 'What traces say of this service: name=value,…'),
  // With a share of 1 it records what parentbased_always_on does, and a smaller share needs no second setting.
  sampler: setting('OTEL_TRACES_SAMPLER', choice(SAMPLERS), 'parentbased_traceidratio', 'Which traces are recorded'),
  samplerRatio: setting('OTEL_TRACES_SAMPLER_ARG', fraction, '1', 'Share of them, for samplers with a ratio', {
    aliases: ['TRACING_SAMPLE_RATE'],
  }),
  maxWaiting: setting(
    'OTEL_BSP_MAX_QUEUE_SIZE',
    wholeNumber(1, MAX_WAITING_SPANS),
    '2048',
    'Spans that wait to be sent; more are lost',
    { aliases: ['TRACING_MAX_SPANS'] },
  ),
  spanTtlMs: optional('TRACING_SPAN_TTL_MS', milliseconds(1), 'How long spans are kept in the process', {
    unit: 'milliseconds',
    replaced: 'spans are sent to a collector and not kept here, see OTEL_BSP_SCHEDULE_DELAY',
  }),
  exporter: setting('OTEL_TRACES_EXPORTER', choice(['otlp', 'none']), 'otlp', 'none switches tracing off'),
  disabled: setting('OTEL_SDK_DISABLED', flag, 'false', 'true switches tracing off'),
}
