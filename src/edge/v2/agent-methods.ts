/**
 * Agents are sessions of type claude-flow: one that was spawned as an agent, or one inside a team.
 */
import { ServiceError } from '../../protocol/errors.js'
import { invalidParams } from '../../protocol/v2/invalid-params.js'
import { knownConfigOf } from '../../protocol/v2/params.js'
import { agentInfo, teamInfo } from '../../protocol/v2/shapes.js'
import { type Caller, sessionOf } from '../caller.js'
import type { Asked, Handlers, Outcome } from './asked.js'
import type { V2Parts } from './parts.js'
import { fromTheBeginning, spawned, stopped } from './session-methods.js'
import { swarmOf } from './standing.js'

const DEFAULT_ORCHESTRATOR = 'default'
/** One agent reports to nobody but its coordinator. */
const TOPOLOGY = 'star'

export const AGENT_METHODS: Handlers<'agent.spawn' | 'agent.status' | 'agent.stop'> = {
  'agent.spawn': spawnAgent,
  'agent.status': async ({ params: { agentId }, caller, parts }) => ({
    payload: await statusOf(parts, caller, agentId),
  }),
  'agent.stop': async ({ params: { agentId }, caller, parts }) => {
    if (agentId.includes('/')) {
      throw new ServiceError('invalid_payload', { reason: 'agentId: an agent of a team ends with its team' })
    }
    await swarmOf(parts, caller, agentId)
    return { payload: { agentId, ...(await stopped(caller, agentId)) } }
  },
}

async function spawnAgent({ params, caller, peer }: Asked<'agent.spawn'>): Promise<Outcome> {
  const { parentSessionId, agentType, config, task, subscribe, idempotencyKey } = params
  const known = knownConfigOf(config)
  if (!known.success) throw invalidParams(known.error)
  const { orchestratorId, topology = TOPOLOGY, ...options } = known.data
  const parent = parentSessionId === undefined ? undefined : await sessionOf(caller, parentSessionId)
  const agent = { agentType, parentSessionId, config }
  const session = await spawned(caller, {
    orchestratorId: orchestratorId ?? parent?.orchestratorId ?? DEFAULT_ORCHESTRATOR,
    sessionType: 'claude-flow',
    task: { ...task, type: 'general', assignedTo: agentType, metadata: { agent } },
    options: { ...options, topology },
    idempotencyKey,
  })
  return {
    payload: agentInfo(session, { agent }),
    after: subscribe ? fromTheBeginning(peer, session) : undefined,
  }
}

/** `team/name` is an agent that a team's coordinator has spawned. */
async function statusOf(parts: V2Parts, caller: Caller, agentId: string): Promise<object> {
  const [sessionId = '', name] = agentId.split('/')
  const { session, role } = await swarmOf(parts, caller, sessionId)
  if (name === undefined) return agentInfo(session, role)
  const { agents } = teamInfo(session, role, await parts.sources.swarm(sessionId))
  const found = agents.find((agent) => agent.agentId === agentId)
  if (!found) throw new ServiceError('session_not_found', { sessionId: agentId })
  return found
}
