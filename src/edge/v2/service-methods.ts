/**
 * The service itself: its settings, its health, and this protocol's description.
 */
import { ServiceError } from '../../protocol/errors.js'
import type { DaemonStatus } from '../../protocol/events.js'
import { describeMethod, discovery } from '../../protocol/v2/discovery.js'
import { isMethod } from '../../protocol/v2/methods.js'
import type { Asked, Handlers, Outcome } from './asked.js'
import type { V2Parts } from './parts.js'

export const SERVICE_METHODS: Handlers<
  'config.get' | 'config.set' | 'health.ping' | 'health.status' | 'rpc.discover' | 'rpc.describe'
> = {
  'config.get': ({ params: { keys, all }, parts }) => {
    const settings = [...parts.sources.settings.read()].map(([name, value]) => [name, value ?? null] as const)
    const wanted = all || keys === undefined ? settings : settings.filter(([name]) => keys.includes(name))
    return { payload: { values: Object.fromEntries(wanted) } }
  },
  'config.set': changeSettings,
  'health.ping': ({ params: { clientTimestamp } }) => ({
    payload: { serverTimestamp: Date.now(), ...(clientTimestamp !== undefined && { clientTimestamp }) },
  }),
  'health.status': async ({ caller, parts }) => {
    const { status } = await caller.ask({ type: 'daemon_status' }, 'daemon_status_response')
    return { payload: healthOf(status, parts) }
  },
  'rpc.discover': ({ params: { includeSchemas } }) => ({ payload: discovery(includeSchemas) }),
  'rpc.describe': ({ params: { method } }) => {
    if (!isMethod(method)) throw new ServiceError('unknown_method', { method })
    return { payload: describeMethod(method) }
  },
}

/** Those that can be changed are; when none can, that is said instead of nothing. */
function changeSettings({ params: { values }, parts }: Asked<'config.set'>): Outcome {
  const outcomes = Object.entries(values).map(([name, value]) => {
    return { name, reason: parts.sources.settings.change(name, value) }
  })
  const applied = outcomes.filter(({ reason }) => reason === undefined).map(({ name }) => name)
  const refused = outcomes.flatMap(({ name, reason }) => (reason === undefined ? [] : [[name, reason] as const]))
  const first = refused[0]
  if (applied.length === 0 && first) throw new ServiceError('unavailable', { reason: first.join(': ') })
  return { payload: { applied, refused: Object.fromEntries(refused) } }
}

function healthOf({ status, uptime, activeSessions, subsystems, metrics }: DaemonStatus, parts: V2Parts) {
  const { totalSessionsSpawned, totalTokensUsed, successRate } = metrics
  return {
    ...{ status, uptime, activeSessions, connectedClients: parts.connections() },
    subsystems: Object.fromEntries(Object.entries(subsystems).map(([name, part]) => [name, subsystem(part)])),
    metrics: {
      ...{ totalSessionsSpawned, totalTokensUsed, successRate },
      averageResponseTimeMs: parts.traffic.read().averageLatencyMs,
    },
  }
}

const subsystem = ({ status, lastCheck, errors }: DaemonStatus['subsystems'][string]) => ({
  status: status === 'running' || status === 'degraded' ? status : 'error',
  lastCheckAt: lastCheck,
  ...(errors && { errors }),
})
