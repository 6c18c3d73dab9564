/**
 * What a scenario is given and what it brings back.
 */
import type { Teardown } from '../../src/chaos/teardown.js'
import type { ClusterSize } from '../cluster/cluster.js'
import type { Plot } from '../measure/plot.js'
import type { LoadOptions } from '../options.js'

export interface Stage {
  readonly options: LoadOptions
  readonly teardown: Teardown
  /** Tells the user how far it is. */
  readonly say: (line: string) => void
}

export interface Outcome {
  /** One sentence: what was measured, under what load. */
  readonly summary: string
  readonly versions: Readonly<Record<string, string>>
  readonly tables: readonly Table[]
  readonly notes: readonly string[]
  /** Drawn into files beside RESULTS.md. */
  readonly plots?: readonly Plot[]
  /** Everything that was measured, for machines. */
  readonly figures: unknown
  /** What must not have happened; empty when all is right. */
  readonly faults: readonly string[]
}

/** What the command line asks for, else the scenario's own. */
export const sizeOf = (
  { edges, workers }: LoadOptions,
  usual: ClusterSize = { edges: 1, workers: 1 },
): ClusterSize => ({
  ...usual,
  ...(edges !== undefined && { edges }),
  ...(workers !== undefined && { workers }),
})

export interface Table {
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
}
