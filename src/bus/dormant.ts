/**
 * Sessions that the bus does not hold: what is kept of them, and what their owner may find out when somebody sends a command
 * to one.
 */
import type { DormantSession, Whereabouts as Known } from '../storage/dormant-sessions.js'

export type { DormantSession, SeenCommand } from '../storage/dormant-sessions.js'

/** `unavailable`: Postgres did not answer in time. */
export type Whereabouts = Known | { readonly kind: 'unavailable' }

/**
 * Whether a session may leave the store: `idle` it may, and this is what must be kept of it · `absent` it is not here ·
 * `busy` commands wait or a message is streamed · `watched` some edge shows it · `unprojected` Postgres may not have all
 * of its events.
 */
export type Rest =
  | { readonly status: 'idle'; readonly session: DormantSession }
  | { readonly status: 'absent' | 'busy' | 'watched' | 'unprojected' }

/** `changed`: it is not as it was when it was read. */
export type Hibernated = { readonly status: 'ok' } | { readonly status: Exclude<Rest['status'], 'idle'> | 'changed' }
