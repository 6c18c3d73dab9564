/**
 * What the reference's bridge asks: sessions as agents, and traffic and channels as Neolith tells of them.
 */
import { createHash } from 'node:crypto'
import { ServiceError } from '../../protocol/errors.js'
import { isTerminal, type Session } from '../../protocol/session.js'
import { CpuMeter } from '../../telemetry/cpu-meter.js'
import { type Caller, command, sessionOf } from '../caller.js'
import { json, ok } from './answer.js'
import type { Handlers } from './handlers.js'
import { statusOf } from './service-answers.js'
import { spawn } from './session-answers.js'
import type { NeolithSource } from './sources.js'
import type { TrafficMeter } from './traffic-meter.js'

const BYTES_PER_MB = 1024 * 1024
const SET_THERE = 'Neolith sets how many messages it takes; change it there'
const NO_NEOLITH = 'this node is not connected to Neolith, which has the channels and their traffic'

export interface BridgeParts {
  readonly neolith: NeolithSource | undefined
  readonly traffic: Pick<TrafficMeter, 'read'>
  readonly connections: () => number
}

export function bridgeAnswers({
  neolith,
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
    readTraffic: async () => ok(await connected(neolith).traffic()),
    steerTraffic: () => {
      throw new ServiceError('unavailable', { reason: neolith ? SET_THERE : NO_NEOLITH })
    },
    listChannels: async () => ok({ channels: await connected(neolith).channels() }),
    readChannel: async ({ params: { channelId } }) => {
      const channel = await connected(neolith).channel(channelId)
      if (!channel) throw new ServiceError('not_found', { path: `/api/channels/${channelId}` })
      // Neolith has just shown it, which is all that there is to be well.
      return ok({ ...channel, channelId, status: 'healthy', lastChecked: new Date() })
    },
  }
}

function connected(neolith: NeolithSource | undefined): NeolithSource {
  if (!neolith) throw new ServiceError('unavailable', { reason: NO_NEOLITH })
  return neolith
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
