/**
 * Endpoints that the reference's bridge calls. An agent is a session; channels and their traffic are Neolith's.
 */
import { z } from 'zod'
import { SESSION_STATUSES, SESSION_TYPES } from '../session.js'
import { type Endpoint, id, NOTHING, page } from './endpoint.js'
import { pageOf, time } from './shapes.js'

const count = z.number().nonnegative()
const freeForm = z.record(z.string(), z.unknown())
const bridge = { method: 'GET', tag: 'Bridge', params: NOTHING, query: NOTHING } as const
const ofAgent = { ...bridge, params: z.object({ agentId: id }), errors: ['session_not_found'] } as const

const agentShape = z
  .object({
    id,
    name: z.string(),
    type: z.enum(SESSION_TYPES),
    status: z.enum(SESSION_STATUSES),
    orchestratorId: z.string(),
    currentTask: z.string().nullable(),
    startedAt: time,
    endedAt: time.nullable(),
  })
  .meta({ id: 'Agent' })

const traffic = {
  ...bridge,
  path: '/api/traffic/config',
  action: 'read_cluster',
  answers: { 200: freeForm },
  errors: ['unavailable'],
} as const

export const BRIDGE_ENDPOINTS = {
  bridgeHealth: {
    ...bridge,
    path: '/api/health',
    summary: 'Whether the service and what it needs are well.',
    action: 'daemon_status',
    answers: {
      200: z.object({
        status: z.enum(['healthy', 'degraded']),
        uptime: count,
        version: z.string(),
        lastHeartbeat: time,
        components: z.record(
          z.string(),
          z.object({ status: z.string(), lastCheck: z.string(), errors: z.array(z.string()).optional() }),
        ),
      }),
    },
  },
  bridgeMetrics: {
    ...bridge,
    path: '/api/metrics',
    summary: 'How much this node has to do. Rates are of the last minute.',
    action: 'daemon_status',
    answers: {
      200: z.object({
        cpu: count.meta({ description: 'Percent of one core.' }),
        memory: count.meta({ description: 'MB that are resident.' }),
        messagesPerMinute: count,
        averageLatencyMs: count.meta({ description: 'From a command to its acceptance.' }),
        errorRate: count.meta({ description: 'Of commands, those that were refused; 0 to 1.' }),
        activeConnections: count,
      }),
    },
  },
  listAgents: {
    ...bridge,
    path: '/api/agents',
    summary: 'Sessions as agents, newest first.',
    action: 'list_sessions',
    query: z.object(page),
    answers: { 200: pageOf('agents', agentShape) },
  },
  readAgent: {
    ...ofAgent,
    path: '/api/agents/{agentId}',
    summary: 'One agent.',
    action: 'session_status',
    answers: { 200: agentShape },
  },
  readAgentMetrics: {
    ...ofAgent,
    path: '/api/agents/{agentId}/metrics',
    summary: 'What an agent has done and used.',
    action: 'session_status',
    answers: {
      200: z.object({
        agentId: id,
        tokensUsed: count,
        tasksCompleted: count,
        errorsEncountered: count,
        averageResponseTimeMs: count,
        activeMs: count,
        cost: count,
      }),
    },
  },
  restartAgent: {
    ...ofAgent,
    method: 'POST',
    path: '/api/agents/{agentId}/restart',
    summary: 'Stops an agent and spawns another one for the same task.',
    action: 'spawn_session',
    alsoNeeds: ['session_status', 'stop_session'],
    takesKey: true,
    answers: { 201: agentShape },
    errors: ['session_not_found', 'session_not_running', 'max_sessions', 'busy', 'outcome_unknown'],
  },
  readTraffic: { ...traffic, summary: 'How many messages go to Neolith and come from it, and how many may.' },
  steerTraffic: {
    ...traffic,
    method: 'PUT',
    summary: 'Would change that; it is set in Neolith, and this says so.',
    body: z.looseObject({}),
  },
  listChannels: {
    ...bridge,
    path: '/api/channels',
    summary: 'Channels of Neolith that this orchestrator may see.',
    action: 'read_cluster',
    answers: { 200: z.object({ channels: z.array(freeForm) }) },
    errors: ['unavailable'],
  },
  readChannel: {
    ...bridge,
    path: '/api/channels/{channelId}/health',
    summary: 'How a channel does.',
    action: 'read_cluster',
    params: z.object({ channelId: id }),
    answers: { 200: freeForm },
    errors: ['not_found', 'unavailable'],
  },
} as const satisfies Record<string, Endpoint>
