/**
 * The codec alone, in this process: whatever comes is a message of the schema or a refusal of the table.
 */
import { decode, errorReply } from '../../src/protocol/codec.js'
import type { SeededRandom } from '../support/random.js'
import { type Finding, MAX_FINDINGS, shown, type Target } from './finding.js'
import { Inputs } from './inputs.js'
import { faultOf } from './refusals.js'

/** The event loop gets a turn after so many, so that progress is told. */
const AT_ONCE = 2_000
const REFUSED = new Set(['invalid_message', 'invalid_payload', 'unknown_type'])

export class CodecTarget implements Target {
  readonly name = 'codec'
  readonly #inputs: Inputs

  constructor(random: SeededRandom) {
    this.#inputs = new Inputs(random)
  }

  async run(inputs: number, onInput: (count: number) => void): Promise<readonly Finding[]> {
    const findings: Finding[] = []
    for (let done = 0; done < inputs && findings.length < MAX_FINDINGS; ) {
      const batch = Math.min(AT_ONCE, inputs - done)
      for (let n = 0; n < batch; n++) {
        const input = this.#inputs.frame()
        const what = faultIn(typeof input === 'string' ? input : input.toString('utf8'))
        if (what !== undefined) findings.push({ what, input: shown(input) })
      }
      done += batch
      onInput(batch)
      await new Promise((resolve) => setImmediate(resolve))
    }
    return findings
  }
}

/** Undefined: as it should be. */
export function faultIn(frame: string): string | undefined {
  try {
    const decoded = decode(frame)
    // What was let in goes on to Redis and PostgreSQL as JSON.
    if (decoded.ok) return typeof JSON.stringify(decoded.message) === 'string' ? undefined : 'a message that is no JSON'
    const { error, requestId } = decoded
    if (!REFUSED.has(error.code)) return `refused with ${error.code}`
    const reply = errorReply(error, { requestId })
    JSON.stringify(reply)
    return faultOf(reply)
  } catch (error) {
    return `threw ${String(error)}`
  }
}
