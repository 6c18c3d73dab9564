/**
 * What the product tells of a command's way in spans. Where tracing is off nobody has a `Tracing`: callers write
 * `tracing?.start(…)`, of which then not even the arguments are made. The implementation (otlp.ts) is loaded only where a
 * collector is set (open-tracing.ts).
 */
export type Attributes = Readonly<Record<string, string | number | boolean | readonly string[] | undefined>>

export interface SpanOptions {
  /** Default `internal`. */
  readonly kind?: 'server' | 'client' | 'producer' | 'consumer'
  /** The W3C context of the span above; without one a trace begins. */
  readonly parent?: string | undefined
  /** The W3C context of a span that this one goes on from. */
  readonly link?: string | undefined
  /** Never a prompt, an answer or a credential. */
  readonly attributes?: Attributes
  /** By the monotonic clock; default now. */
  readonly startedAt?: number
}

export interface SpanEnd {
  readonly attributes?: Attributes
  /** A word for what went wrong; without one it went well. */
  readonly error?: string | undefined
}

/** Where spans of one piece of work hang. */
export interface Trace {
  /** W3C context, to be handed on. */
  readonly traceparent: string
  child(name: string, options?: Omit<SpanOptions, 'parent'>): Span
}

export interface Span extends Trace {
  /** The first call counts. */
  end(how?: SpanEnd): void
}

export interface Tracing {
  start(name: string, options: SpanOptions): Span
}

export interface OpenTracing extends Tracing {
  /** Sends what is left, in bounded time. */
  stop(): Promise<void>
}

/** What every span of this process says of where it was made. */
export interface TracedNode {
  readonly node: string
  readonly role: string
  readonly version: string
}
