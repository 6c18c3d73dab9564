/**
 * What a command writes to its standard output, as far as that can be known without running it.
 */
import { ANY, type Field, joined, NAME, splitWords, textOf } from './field.js'

export type Stream =
  /** Nothing that matters. */
  | { readonly kind: 'none' }
  | { readonly kind: 'text'; readonly text: Field }
  /** One path a line, each of the form of one of these. */
  | { readonly kind: 'paths'; readonly fields: readonly Field[] }
  /** Somebody else decides what it is. */
  | { readonly kind: 'download' }
  /** Never ends by itself. */
  | { readonly kind: 'endless' }
  | { readonly kind: 'unknown' }

export const NOTHING: Stream = { kind: 'none' }
export const UNKNOWN: Stream = { kind: 'unknown' }
export const ENDLESS_STREAM: Stream = { kind: 'endless' }
export const DOWNLOAD: Stream = { kind: 'download' }
export const textStream = (text: Field | string): Stream => ({
  kind: 'text',
  text: typeof text === 'string' ? joined([text]) : text,
})
/** Numbers, dates and the like: one word of which no harm can come as a file name. */
export const ONE_NAME: Stream = textStream(NAME)

/** What comes out when both write, one after the other. */
export function after(first: Stream, second: Stream): Stream {
  if (first.kind === 'none') return second
  if (second.kind === 'none') return first
  if (first.kind === 'download' || second.kind === 'download') return DOWNLOAD
  if (first.kind === 'text' && second.kind === 'text') return textStream(joined(first.text, second.text))
  return UNKNOWN
}

/** A command substitution: the output without the line ends behind it. */
export function substituted(stream: Stream): Field {
  if (stream.kind === 'none') return []
  if (stream.kind === 'paths' && stream.fields.length === 1) return stream.fields[0] ?? ANY
  if (stream.kind !== 'text') return ANY
  const last = stream.text.at(-1)
  return typeof last === 'string' ? joined(stream.text.slice(0, -1), [last.replace(/\n+$/, '')]) : stream.text
}

/** Words of what stands in a stream, for programs that take their arguments from there. */
export function wordsOf(stream: Stream): readonly Field[] | undefined {
  if (stream.kind === 'none') return []
  if (stream.kind === 'paths') return stream.fields
  return stream.kind === 'text' ? splitWords(stream.text) : undefined
}

/** The same for programs that take a line at a time. */
export function linesOf(stream: Stream): readonly Field[] | undefined {
  if (stream.kind !== 'text') return wordsOf(stream)
  const text = textOf(stream.text)
  return text === undefined ? undefined : text.split('\n').flatMap((line): Field[] => (line === '' ? [] : [[line]]))
}
