/**
 * Spans over the OpenTelemetry SDK, sent to a collector as OTLP over HTTP. Loaded only where tracing is on. No
 * provider is registered: libraries that look for a global one stay silent, and nothing but what we say is sent.
 */
import type { Context, Link, Span as OtelSpan, SpanContext, Tracer } from '@opentelemetry/api'
import { type Attributes as OtelAttributes, ROOT_CONTEXT, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources'
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BasicTracerProvider,
  BatchSpanProcessor,
  ParentBasedSampler,
  type ReadableSpan,
  type Sampler,
  type SpanExporter,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace-node'
import type { OtlpProtocol, SamplerName } from '../config/schema.js'
import { isSampled, isTraceparent } from '../protocol/traceparent.js'
import type { Log } from './log.js'
import { SeldomLog } from './seldom-log.js'
import type { OpenTracing, Span, SpanEnd, SpanOptions, TracedNode } from './tracing.js'

export interface OtlpSettings {
  readonly url: string
  readonly protocol: OtlpProtocol
  readonly headers: string | undefined
  readonly serviceName: string
  readonly resourceAttributes: string | undefined
  readonly sampler: SamplerName
  readonly samplerRatio: number
  /** Spans that wait to be sent. */
  readonly maxWaiting: number
}

/** A collector that does not answer must not hold up the end of a process. */
const FLUSH_MS = 3_000
const SCOPE = 'orchestrator-daemon'
const EXPORTED = 0
const [TRACE_ID, SPAN_ID, FLAGS] = [1, 2, 3]
const HEX = 16
const KINDS = {
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
  producer: SpanKind.PRODUCER,
  consumer: SpanKind.CONSUMER,
} as const

export async function openOtlp(settings: OtlpSettings, node: TracedNode, log: Pick<Log, 'warn'>): Promise<OpenTracing> {
  return new OtlpTracing(settings, await exporterOf(settings), node, log)
}

/** One of the two is loaded. */
async function exporterOf({ url, protocol, headers }: OtlpSettings): Promise<SpanExporter> {
  const options = { url, headers: pairs(headers) }
  if (protocol === 'http/json') {
    const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-http')
    return new OTLPTraceExporter(options)
  }
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-proto')
  return new OTLPTraceExporter(options)
}

class OtlpTracing implements OpenTracing {
  readonly #provider: BasicTracerProvider
  readonly #tracer: Tracer
  /** What hangs under a span that is not recorded is not recorded either. */
  readonly #followsParent: boolean

  constructor(settings: OtlpSettings, exporter: SpanExporter, node: TracedNode, log: Pick<Log, 'warn'>) {
    const told = new ToldExporter(exporter, log)
    this.#provider = new BasicTracerProvider({
      resource: resourceOf(settings, node),
      sampler: samplerOf(settings.sampler, settings.samplerRatio),
      spanProcessors: [new BatchSpanProcessor(told, { maxQueueSize: settings.maxWaiting })],
    })
    this.#followsParent = settings.sampler.startsWith('parentbased_')
    this.#tracer = this.#provider.getTracer(SCOPE, node.version)
  }

  start(name: string, { kind, parent, link, attributes, startedAt }: SpanOptions): Span {
    if (this.#followsParent && parent !== undefined && isUnrecorded(parent)) return new UnrecordedSpan(parent)
    const agoMs = startedAt === undefined ? 0 : performance.now() - startedAt
    const startTime = Date.now() - agoMs
    const links: Link[] = link !== undefined && isTraceparent(link) ? [{ context: spanContextOf(link) }] : []
    const options = { kind: kind ? KINDS[kind] : SpanKind.INTERNAL, attributes: { ...attributes } as OtelAttributes }
    const span = this.#tracer.startSpan(name, { ...options, links, startTime }, contextUnder(parent))
    return new OtlpSpan(this, span, startTime, performance.now() - agoMs)
  }

  async stop(): Promise<void> {
    const late = new Promise<void>((resolve) => setTimeout(resolve, FLUSH_MS).unref())
    // What cannot be sent has been said by the exporter.
    await Promise.race([this.#provider.shutdown().catch(() => undefined), late])
  }
}

class OtlpSpan implements Span {
  #ended = false

  constructor(
    private readonly tracing: OtlpTracing,
    private readonly span: OtelSpan,
    private readonly startTime: number,
    private readonly startedAt: number,
  ) {}

  get traceparent(): string {
    const { traceId, spanId, traceFlags } = this.span.spanContext()
    return `00-${traceId}-${spanId}-${traceFlags.toString(HEX).padStart(2, '0')}`
  }

  child(name: string, options: Omit<SpanOptions, 'parent'> = {}): Span {
    return this.tracing.start(name, { ...options, parent: this.traceparent })
  }

  end({ attributes, error }: SpanEnd = {}): void {
    if (this.#ended) return
    this.#ended = true
    if (attributes) this.span.setAttributes({ ...attributes } as OtelAttributes)
    if (error !== undefined) {
      this.span.setAttribute('error.type', error)
      this.span.setStatus({ code: SpanStatusCode.ERROR, message: error })
    }
    // By the monotonic clock: a clock that was set meanwhile makes no span longer.
    this.span.end(this.startTime + performance.now() - this.startedAt)
  }
}

/** Of a trace that is not recorded: as good as none, but that the context goes on. */
class UnrecordedSpan implements Span {
  constructor(readonly traceparent: string) {}

  child(): Span {
    return this
  }

  end(): void {}
}

/** Says seldom that nothing can be sent; spans that could not be are lost. */
class ToldExporter implements SpanExporter {
  readonly #trouble: SeldomLog

  constructor(
    private readonly exporter: SpanExporter,
    log: Pick<Log, 'warn'>,
  ) {
    this.#trouble = new SeldomLog({ warn: (fields, text) => log.warn(fields, text) })
  }

  export(spans: ReadableSpan[], onResult: Parameters<SpanExporter['export']>[1]): void {
    this.exporter.export(spans, (result) => {
      if (result.code !== EXPORTED) this.#trouble.warn({ err: result.error }, 'spans could not be sent and are lost')
      onResult(result)
    })
  }

  forceFlush(): Promise<void> {
    return this.exporter.forceFlush?.() ?? Promise.resolve()
  }

  shutdown(): Promise<void> {
    return this.exporter.shutdown()
  }
}

const isUnrecorded = (parent: string): boolean => isTraceparent(parent) && !isSampled(parent)

function contextUnder(parent: string | undefined): Context {
  if (parent === undefined || !isTraceparent(parent)) return ROOT_CONTEXT
  return trace.setSpanContext(ROOT_CONTEXT, spanContextOf(parent))
}

function spanContextOf(traceparent: string): SpanContext {
  const parts = traceparent.split('-')
  return {
    traceId: parts[TRACE_ID] ?? '',
    spanId: parts[SPAN_ID] ?? '',
    traceFlags: Number.parseInt(parts[FLAGS] ?? '0', HEX),
    isRemote: true,
  }
}

function resourceOf({ serviceName, resourceAttributes }: OtlpSettings, { node, role, version }: TracedNode) {
  const own = { 'service.version': version, 'service.instance.id': node, 'orchestrator.role': role }
  const given = { ...own, ...pairs(resourceAttributes), 'service.name': serviceName }
  return defaultResource().merge(resourceFromAttributes(given))
}

function samplerOf(name: SamplerName, ratio: number): Sampler {
  const root = name.endsWith('always_off')
    ? new AlwaysOffSampler()
    : name.endsWith('always_on')
      ? new AlwaysOnSampler()
      : new TraceIdRatioBasedSampler(ratio)
  return name.startsWith('parentbased_') ? new ParentBasedSampler({ root }) : root
}

/** `name=value,name=value`, values percent-encoded, as the standard variables have it. */
function pairs(list: string | undefined): Record<string, string> {
  const found = (list ?? '').split(',').flatMap((pair): [string, string][] => {
    const at = pair.indexOf('=')
    return at < 1 ? [] : [[pair.slice(0, at).trim(), decoded(pair.slice(at + 1).trim())]]
  })
  return Object.fromEntries(found)
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value)
  } catch {
    return value // A lone % is meant as it stands.
  }
}
