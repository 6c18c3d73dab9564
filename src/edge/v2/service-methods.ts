/**
 * The service itself: its settings, its health, and this protocol's description.
 */
import { ServiceError } from '../../protocol/errors.js'
import type { DaemonStatus } from '../../protocol/replies.js'
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

/** What is live counts at once; when nothing asked for is, that is said instead of nothing. */
async function changeSettings({ params: { values, merge }, principal, parts }: Asked<'config.set'>): Promise<Outcome> {
  const { tenant, subject } = principal
  const changed = await parts.sources.settings.change(values, { merge, by: { tenant, subject } })
  const { applied, needRestart, changes } = changed
  if (applied.length > 0 || changes.length > 0) {
    const about = { tenant, actor: subject, action: 'config.set', sessionId: undefined }
    parts.audit?.add({ ...about, subject: applied.join(' '), detail: { changes, needRestart, merge } })
  } else if (needRestart.length > 0) {
    const reason = `read when a node starts, set in its environment or its file: ${needRestart.join(', ')}`
    throw new ServiceError('unavailable', { reason })
  }
  return { payload: { applied, needRestart, changes } }
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
