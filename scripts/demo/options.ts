/**
 * The command line of the demo.
 */
import { parseArgs } from 'node:util'

/** More sessions than this measure the machine, not the product. */
const MAX_SESSIONS = 200
const DEFAULT_SESSIONS = 20
const MAX_SEED = 2 ** 31 - 1

export const USAGE = `npm run demo                  one process, one session with a real task
npm run demo -- --cluster     two edges, three workers, a coordinator; one worker is killed

  --keep           one process: stay up afterwards, until Ctrl-C
  --sessions <n>   cluster: sessions at once, 1 to ${MAX_SESSIONS}; default ${DEFAULT_SESSIONS}
  --seed <n>       cluster: repeats the choices of another run
  --no-kill        cluster: everybody lives
  --json           print one JSON object at the end, and nothing else
`

export interface DemoOptions {
  readonly cluster: boolean
  readonly json: boolean
  readonly keep: boolean
  readonly kill: boolean
  readonly sessions: number
  readonly seed: number
}

/** What was asked for, or a sentence saying what cannot be understood. */
export function parseOptions(args: readonly string[]): DemoOptions | string {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        cluster: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        keep: { type: 'boolean', default: false },
        'no-kill': { type: 'boolean', default: false },
        sessions: { type: 'string', default: String(DEFAULT_SESSIONS) },
        seed: { type: 'string', default: String(Math.floor(Math.random() * MAX_SEED)) },
      },
    })
    const { cluster, json, keep, sessions, seed } = values
    return {
      ...{ cluster, json, keep, kill: !values['no-kill'] },
      sessions: wholeNumber('--sessions', sessions, 1, MAX_SESSIONS),
      seed: wholeNumber('--seed', seed, 0, MAX_SEED),
    }
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

function wholeNumber(name: string, text: string, min: number, max: number): number {
  const value = Number(text)
  if (Number.isInteger(value) && value >= min && value <= max) return value
  throw new RangeError(`${name} is a whole number from ${min} to ${max}, not ${text}`)
}
