/**
 * Random numbers that can be repeated: the seed is printed, and TEST_SEED brings a failed run back.
 */

export interface SeededRandom {
  /** 0 up to, not including, 1. */
  next(): number
  /** A whole number from `min` to `max`, both included. */
  integer(min: number, max: number): number
  pick<T>(items: readonly T[]): T
}

const MAX_SEED = 2 ** 31

/** A new source for one test; prints its seed under `name`. */
export function seededRandom(name: string): SeededRandom {
  const seed = Number(process.env.TEST_SEED ?? Math.floor(Math.random() * MAX_SEED))
  console.info(`${name}: TEST_SEED=${seed}`)
  return randomOf(seed)
}

/** The numbers of one seed. */
export function randomOf(seed: number): SeededRandom {
  const next = mulberry32(seed)
  const integer = (min: number, max: number): number => min + Math.floor(next() * (max - min + 1))
  return {
    next,
    integer,
    pick<T>(items: readonly T[]): T {
      if (items.length === 0) throw new RangeError('nothing to pick from')
      return items[integer(0, items.length - 1)] as T
    },
  }
}

function mulberry32(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let value = Math.imul(state ^ (state >>> 15), state | 1)
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61)
    return ((value ^ (value >>> 14)) >>> 0) / 2 ** 32
  }
}
