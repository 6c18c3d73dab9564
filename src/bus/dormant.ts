/**
 * Sessions that the bus does not hold: what is kept of them, and what their owner may find out when somebody sends a command
 * to one.
 */
import type { Whereabouts as Known } from '../storage/dormant-sessions.js'

export type { DormantSession, SeenCommand } from '../storage/dormant-sessions.js'

/** `unavailable`: Postgres did not answer in time. */
export type Whereabouts = Known | { readonly kind: 'unavailable' }
