/**
 * Tracing that is an array: what was told, without a collector.
 */
import type { Attributes, Span, SpanEnd, SpanOptions, Tracing } from '../../src/telemetry/tracing.js'

export interface RecordedSpan extends Span {
  readonly name: string
  readonly parent: string | undefined
  readonly link: string | undefined
  readonly attributes: Attributes
  readonly error: string | undefined
  readonly isOver: boolean
}

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const HEX = 16

export class RecordedSpans implements Tracing {
  readonly all: RecordedSpan[] = []
  readonly root: Span = this.start('root', {})

  named(name: string): readonly RecordedSpan[] {
    return this.all.filter((span) => span.name === name)
  }

  start(name: string, { parent, link, attributes = {} }: SpanOptions): Span {
    const number = this.all.length + 1
    const span = {
      ...{ name, parent, link, attributes, error: undefined as string | undefined, isOver: false },
      traceparent: `00-${TRACE}-${number.toString(HEX).padStart(16, '0')}-01`,
      child: (child: string, options: Omit<SpanOptions, 'parent'> = {}) =>
        this.start(child, { ...options, parent: span.traceparent }),
      end: ({ attributes: more, error }: SpanEnd = {}) => {
        if (span.isOver) return
        span.isOver = true
        span.error = error
        span.attributes = { ...span.attributes, ...more }
      },
    }
    this.all.push(span)
    return span
  }
}
