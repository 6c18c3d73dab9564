/**
 * Clients that are a burden: one that does not read, one that sends more than its session can hold.
 */
import type { Fault } from './fault.js'

const MIN_PAUSE_MS = 2_000
const MAX_PAUSE_MS = 6_000
/** Of an inbox that holds 1,000. */
const FLOOD_COMMANDS = 3_000

export const slowReader: Fault = {
  test: 'T9',
  title: 'a client that stops reading a stream',
  needs: {},
  weight: 1,
  async run({ begin, load, random }) {
    const mark = await begin({ kind: 'slow-reader' })
    await load.special({ kind: 'slow-reader', pauseMs: random(MIN_PAUSE_MS, MAX_PAUSE_MS) })
    mark.healed()
  },
}

export const flood: Fault = {
  test: 'T10',
  title: 'a client that floods one session',
  needs: {},
  weight: 1,
  async run({ begin, load }) {
    const mark = await begin({ kind: 'flood' })
    await load.special({ kind: 'flood', commands: FLOOD_COMMANDS })
    mark.healed()
  },
}
