/**
 * Random choices that a seed brings back.
 */

/** Whole numbers from `min` to `max`, both included. */
export type RandomInteger = (min: number, max: number) => number

/** The generator mulberry32. */
export function seededRandom(seed: number): RandomInteger {
  let state = seed >>> 0
  return (min, max) => {
    state = (state + 0x6d2b79f5) >>> 0
    let value = Math.imul(state ^ (state >>> 15), state | 1)
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61)
    const fraction = ((value ^ (value >>> 14)) >>> 0) / 2 ** 32
    return min + Math.floor(fraction * (max - min + 1))
  }
}
