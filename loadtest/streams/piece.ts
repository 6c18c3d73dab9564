/**
 * A piece of text that carries the time at which it left the model: what makes the way of each piece measurable without
 * touching the service. Processes of one machine share the clock.
 */

/** The pace of a quick vendor. */
export const PIECES_PER_SECOND = 20
/** Digits of the time in base 36, and a space. */
export const PIECE_CHARS = 8
const RADIX = 36
/** The clock as the digits hold it, in µs: it comes round every 21 hours. */
const ROUND_US = RADIX ** (PIECE_CHARS - 1)
const NS_PER_US = 1_000n
const US_PER_MS = 1_000

/** The machine's monotonic clock at the zero of this process's own, in µs: asking for the latter is much cheaper. */
const zeroUs = Number((process.hrtime.bigint() / NS_PER_US) % BigInt(ROUND_US)) - performance.now() * US_PER_MS

const roundUs = (now: number): number => Math.floor((zeroUs + now * US_PER_MS) % ROUND_US)

/** The text of a piece that leaves at `now`, of `performance.now()`. */
export const pieceAt = (now: number): string =>
  `${roundUs(now)
    .toString(RADIX)
    .padStart(PIECE_CHARS - 1, '0')} `

/** For how many ms the piece at `at` was under way when it came at `now`; NaN when there is none. */
export function ageMs(text: string, at: number, now: number): number {
  const leftUs = Number.parseInt(text.slice(at, at + PIECE_CHARS - 1), RADIX)
  const us = (roundUs(now) - leftUs + ROUND_US) % ROUND_US
  // What seems to come from the future has left within the same µs.
  return us > ROUND_US / 2 ? 0 : us / US_PER_MS
}
