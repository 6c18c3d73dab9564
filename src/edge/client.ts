/**
 * Whoever sends messages: a connection that stays, or one HTTP request.
 */
import type { Principal } from './auth.js'
import type { CommandClient } from './submissions.js'
import type { Receiver } from './subscription.js'

export interface Client extends Receiver, CommandClient {
  principal: Principal
  /** Whether an answer still reaches it. */
  readonly isOpen: boolean
  /** Whether it stays to see what comes of what it asks. One that does not is shown answers only. */
  readonly staysOn: boolean
}
