/**
 * What a run of the demo gets, and how it ends.
 */

import type { Teardown } from '../../src/chaos/teardown.js'
import type { DemoOptions } from './options.js'
import type { Screen } from './screen.js'

export interface Run {
  readonly options: DemoOptions
  readonly screen: Screen
  readonly teardown: Teardown
  /** Resolves at Ctrl-C. */
  readonly interrupted: Promise<void>
}

export interface Outcome {
  /** What was wrong, as sentences; empty when every check passed. */
  readonly failures: readonly string[]
  /** What `--json` prints besides `ok` and `failures`. */
  readonly figures: Readonly<Record<string, unknown>>
}
