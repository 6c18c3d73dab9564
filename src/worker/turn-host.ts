/**
 * The session as its turn sees it.
 */
import type { SessionServices } from './session-services.js'
import type { SessionWriter } from './session-writer.js'

export interface TurnHost {
  readonly id: string
  readonly tenant: string
  readonly claim: { readonly owner: string; readonly epoch: number }
  readonly services: SessionServices
  readonly writer: SessionWriter
  takeTakeover(): Takeover | undefined
  /** A person is waited for: the turn may move to another worker meanwhile. */
  pausedForApproval(): void
  resumedAfterApproval(): void
}

/** Who had the session before, when a turn was left unfinished. */
export interface Takeover {
  readonly fromWorker: string
  /** Time since the former owner's last sign of life, in ms. */
  readonly afterMs: number
  /** The former owner left in an orderly way: this is no crash. */
  readonly planned: boolean
}
