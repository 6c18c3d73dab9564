/**
 * A place in a trace, as the W3C writes it: `00-<trace id>-<span id>-<flags>`. It travels with a command, and stands on what
 * comes of it.
 */

/** The standard's own length is 55; a later version may say more behind that. */
export const MAX_TRACEPARENT_CHARS = 128

const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(-|$)/
const FLAGS_AT = 53
const SAMPLED = 1

export const isTraceparent = (text: string): boolean => TRACEPARENT.test(text)

/** Whether whoever began the trace has it recorded. */
export const isSampled = (traceparent: string): boolean =>
  (Number.parseInt(traceparent.slice(FLAGS_AT, FLAGS_AT + 2), 16) & SAMPLED) === SAMPLED

/** What a client says of its trace; anything that is none is passed over, as the standard wants it. */
export function contextOf({ traceparent }: { readonly traceparent?: string | undefined }): string | undefined {
  return traceparent !== undefined && isTraceparent(traceparent) ? traceparent : undefined
}
