/**
 * What the reference's bridge asks: sessions as agents, and what this service has no part in.
 */
import { createHash } from 'node:crypto'
import { ServiceError } from '../../protocol/errors.js'
import { isTerminal, type Session } from '../../protocol/session.js'
import { CpuMeter } from '../../telemetry/cpu-meter.js'
import { json, ok } from './answer.js'
import type { Caller } from './caller.js'
import type { Handlers } from './handlers.js'
import { statusOf } from './service-answers.js'
import { command, sessionOf, spawn } from './session-answers.js'
import type { TrafficMeter } from './traffic-meter.js'

const BYTES_PER_MB = 1024 * 1024
const NO_TRAFFIC = 'this service spreads no messages over orchestrators; sessions are placed by LOAD_BALANCING_STRATEGY'

export interface BridgeParts {
  readonly traffic: Pick<TrafficMeter, 'read'>
  readonly connections: () => number
}

export function bridgeAnswers({
  traffic,
  connections,
}: BridgeParts): Handlers<
  | 'bridgeHealth'
  | 'bridgeMetrics'
  | 'listAgents'
  | 'readAgent'
  | 'readAgentMetrics'
  | 'restartAgent'
  | 'readTraffic'
  | 'steerTraffic'
  | 'listChannels'
  | 'readChannel'
> {
  const cpu = new CpuMeter()
  return {
    bridgeHealth: async ({ caller }) => {
      await caller.ask({ type: 'health_check' }, 'health_check_response')
      const { status, uptime, version, subsystems } = await statusOf(caller)
      const health = status === 'running' ? 'healthy' : 'degraded'
      return ok({ status: health, uptime, version, lastHeartbeat: new Date(), components: subsystems })
    },
    bridgeMetrics: () =>
      ok({
        cpu: cpu.percent(),
        memory: Math.round(process.memoryUsage.rss() / BYTES_PER_MB),
        ...traffic.read(),
        activeConnections: connections(),
      }),
    listAgents: async ({ caller, query: payload }) => {
      const { sessions, cursor } = await caller.ask({ type: 'list_sessions', payload }, 'sessions_list')
      return ok({ agents: sessions.map(agentOf), ...(cursor !== undefined && { cursor }) })
    },
    readAgent: async ({ caller, params }) => ok(agentOf(await sessionOf(caller, params.agentId))),
    readAgentMetrics: async ({ caller, params: { agentId } }) => {
      const { metrics, cost } = await sessionOf(caller, agentId)
      const { tokensUsed, tasksCompleted, errorsEncountered, averageResponseTime, duration } = metrics
      const averages = { averageResponseTimeMs: averageResponseTime, activeMs: duration }
      return ok({ agentId, tokensUsed, tasksCompleted, errorsEncountered, ...averages, cost })
    },
    restartAgent: async ({ caller, params: { agentId }, key }) => json(201, await restart(caller, agentId, key)),
    readTraffic: noTraffic,
    steerTraffic: noTraffic,
    listChannels: () => ok({ channels: [] }),
    readChannel: ({ params }) => {
      throw new ServiceError('not_found', { path: `/api/channels/${params.channelId}` })
    },
  }
}

function noTraffic(): never {
  throw new ServiceError('unavailable', { reason: NO_TRAFFIC })
}

/** The new one is there before the old one goes: what fails in between leaves one too many, not one too few. */
async function restart(caller: Caller, agentId: string, key: string | undefined) {
  const { task, type, orchestratorId, status } = await sessionOf(caller, agentId)
  if (!task) throw new ServiceError('unavailable', { reason: 'what this agent was started for is not known any more' })
  const again = { type: task.type, priority: task.priority, description: task.description }
  const idempotencyKey = key === undefined ? undefined : `restart:${hashOf(`${agentId}/${key}`)}`
  const spawned = await spawn(caller, { orchestratorId, sessionType: type, task: again, idempotencyKey })
  if (!isTerminal(status)) await command(caller, { type: 'stop_session', payload: { sessionId: agentId } }, key)
  return agentOf(JSON.parse(String(spawned.body)) as Session)
}

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex').slice(0, 32)

const agentOf = ({ id, type, status, orchestratorId, task, startedAt, endedAt }: Session) => ({
  ...{ id, name: id, type, status, orchestratorId, startedAt, endedAt: endedAt ?? null },
  currentTask: task?.status === 'in_progress' ? task.description : null,
})
