/**
 * What a scenario is given and what it brings back.
 */
import type { Teardown } from '../../src/chaos/teardown.js'
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
  /** Everything that was measured, for machines. */
  readonly figures: unknown
  /** What must not have happened; empty when all is right. */
  readonly faults: readonly string[]
}

export interface Table {
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
}
