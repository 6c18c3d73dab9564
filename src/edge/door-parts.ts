/**
 * The door of an edge, fitted with the limits of its settings.
 */
import { AddressConnections } from './address-connections.js'
import type { Authenticator } from './auth.js'
import { ClientAddresses } from './client-address.js'
import { ConnectionLimit } from './connection-limit.js'
import type { EdgeDependencies } from './dependencies.js'
import { Door } from './door.js'
import { RateLimit } from './rate-limit.js'
import type { ConnectionLimitSettings, RateLimitSettings } from './settings.js'

export function doorOf(deps: EdgeDependencies, authenticator: Authenticator): Door {
  const { connections, messages, perAddress = {} } = deps.settings.limits
  const { connections: addressConnections, messages: addressMessages } = perAddress
  return new Door({
    authenticator,
    addresses: new ClientAddresses(deps.settings.proxies),
    connections: connectionLimit(deps, connections),
    rates: rateLimit(deps, messages),
    addressConnections: new AddressConnections(addressConnections, (settings) => connectionLimit(deps, settings)),
    addressRates: rateLimit(deps, addressMessages),
  })
}

function connectionLimit(deps: EdgeDependencies, settings: ConnectionLimitSettings): ConnectionLimit {
  const { id, sharedLimits, view, log: trace } = deps
  return new ConnectionLimit({
    edge: id,
    settings,
    counts: sharedLimits?.connections,
    isLive: (node) => view.nodes().some((live) => live.id === node),
    trace,
  })
}

const rateLimit = ({ sharedLimits, log }: EdgeDependencies, settings: RateLimitSettings | undefined): RateLimit =>
  new RateLimit(settings, sharedLimits?.messages, log)
