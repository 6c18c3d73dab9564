/**
 * Shares inputs out to several connections at once, each of which takes the next batch when it is done with one.
 */
import { type Finding, MAX_FINDINGS } from './finding.js'

/** Throws a batch at the service, over a connection that it opens anew when it has lost it. */
export interface Lane {
  /** @throws Error when the service cannot be reached */
  throwBatch(inputs: number): Promise<readonly Finding[]>
  close(): void
}

export async function inLanes(
  lanes: readonly Lane[],
  inputs: number,
  batch: number,
  onInput: (count: number) => void,
): Promise<readonly Finding[]> {
  const findings: Finding[] = []
  let left = inputs
  const work = async (lane: Lane): Promise<void> => {
    while (left > 0 && findings.length < MAX_FINDINGS) {
      const count = Math.min(batch, left)
      left -= count
      findings.push(...(await lane.throwBatch(count)))
      onInput(count)
    }
  }
  try {
    await Promise.all(lanes.map(work))
  } finally {
    for (const lane of lanes) lane.close()
  }
  return findings
}

/** What is thrown is kept until the service has shown that it lives on: a finding may be about any of it. */
export const suspects = (inputs: readonly string[]): string => inputs.slice(-3).join('\n      ')
