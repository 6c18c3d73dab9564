/**
 * The connection itself: its rights, its end, and what it wants to hear.
 */
import { ServiceError } from '../../protocol/errors.js'
import { seesTenant } from '../../protocol/permissions.js'
import { grantedScopes } from '../../protocol/v2/scopes.js'
import type { Asked, Handlers, Outcome } from './asked.js'
import { standingOf } from './standing.js'
import { sessionMeant } from './watch-list.js'

const CLOSE_NORMAL = 1000

export const CONNECTION_METHODS: Handlers<'auth.refresh' | 'auth.logout' | 'subscribe' | 'unsubscribe'> = {
  'auth.refresh': async ({ params: { token }, caller, peer, parts }) => {
    const message = { type: 'token_refresh', ...(token !== undefined && { auth: { token } }) } as const
    const renewed = await caller.ask(message, 'token_refreshed')
    peer.connection.principal = caller.principal
    parts.renewed(peer.connection)
    const scopes = grantedScopes(caller.principal, peer.asked)
    peer.grant(scopes)
    const ours = token === undefined ? { token: renewed.token } : {}
    const payload = { scopes, expiresAtMs: Date.parse(renewed.expiresAt), ...ours }
    return { payload, after: () => peer.feed() }
  },
  'auth.logout': ({ peer }) => ({
    payload: { ok: true },
    after: () => peer.connection.end(CLOSE_NORMAL, 'logout'),
  }),
  subscribe,
  unsubscribe: ({ params: { subscriptionId }, peer }) => {
    const left = peer.watches.unsubscribe(subscriptionId)
    return {
      payload: { ok: true },
      after: () => {
        if (left !== undefined) peer.unfollow(left)
        peer.feed()
      },
    }
  },
}

async function subscribe({ params, caller, peer, parts }: Asked<'subscribe'>): Promise<Outcome> {
  const { events, filter, from } = params
  const sessionId = sessionMeant(filter)
  if (from && sessionId === undefined) {
    throw new ServiceError('invalid_payload', { reason: 'from: a place is in a session; name it as filter.sessionId' })
  }
  const standing = sessionId === undefined ? undefined : await standingOf(parts, caller, sessionId)
  const payload = { subscriptionId: peer.watches.subscribe(events, filter), events }
  if (sessionId === undefined || !standing) {
    const scope = seesTenant(peer.connection.principal.role) ? 'tenant' : 'connection'
    return { payload: { ...payload, scope }, after: () => peer.feed() }
  }
  return {
    payload: { ...payload, sessionId, eventId: standing.eventId },
    after: () => peer.follow(sessionId, { standing, from, whole: false }),
  }
}
