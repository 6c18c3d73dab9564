/**
 * What only the second protocol reads and changes, as small interfaces: the composition root fits them.
 */
import type { EventId, SessionId } from '../../protocol/ids.js'
import type { SwarmView } from '../../protocol/v2/shapes.js'
import type { HttpSources, MemoryHolder, MemoryRow } from '../http/sources.js'

/** Something to be remembered. */
export interface NewMemoryNote {
  readonly content: string
  readonly tier: MemoryRow['tier']
  readonly kind: MemoryRow['kind']
  readonly sessionId?: string | undefined
  readonly orchestratorId?: string | undefined
  readonly metadata?: Readonly<Record<string, unknown>> | undefined
}

export interface V2Sources {
  readonly memory: {
    readonly search: HttpSources['memory']['search']
    /** @throws ServiceError `invalid_payload` for a note that is too long */
    store(holder: MemoryHolder, note: NewMemoryNote): Promise<{ readonly id: string }>
    /** Returns how many are gone. */
    forget(holder: MemoryHolder, id: string): Promise<number>
  }
  /** What the agents of a session have agreed on; undefined before they have. */
  swarm(sessionId: SessionId): Promise<SwarmView | undefined>
  readonly settings: SettingsSource
  /** In which sessions of a tenant something happens; see docs/decisions/0044. */
  readonly activity: {
    /** Those that were heard of in the last `withinMs`, the latest first. */
    recent(tenant: string, withinMs: number, limit: number): Promise<Look>
    /** The last event that a session had at a time; undefined: none. */
    lastBefore(sessionId: SessionId, at: Date): Promise<EventId | undefined>
  }
}

/** The settings of this node. */
export interface SettingsSource {
  /** Each by its name in the environment, as one would write it; secrets are hidden. */
  read(): ReadonlyMap<string, string | undefined>
  /**
   * Sets while the node runs what can be set then: all of it, or nothing. `merge`: beside what was set before.
   * @throws ServiceError `invalid_payload` when something is wrong, with all that is
   */
  change(
    values: Readonly<Record<string, unknown>>,
    how: { readonly merge: boolean; readonly by: { readonly tenant: string; readonly subject: string } },
  ): Promise<ChangedSettings>
}

export interface ChangedSettings {
  /** Names that count now as they were asked for. */
  readonly applied: readonly string[]
  /** Names that are read at the start alone. */
  readonly needRestart: readonly string[]
  /** What is another value now, as a person may see it. */
  readonly changes: readonly { readonly setting: string; readonly from: string; readonly to: string }[]
}

export interface ActiveSession {
  readonly id: SessionId
  /** Who spawned it. */
  readonly owner: string
  readonly createdAt: Date
}

export interface Look {
  /** By the clock that `createdAt` is of. */
  readonly at: Date
  readonly sessions: readonly ActiveSession[]
}
