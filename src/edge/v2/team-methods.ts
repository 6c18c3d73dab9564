/**
 * A team is one session of type claude-flow: its coordinator gives the task to agents, which share one machine.
 */
import { newMessageId } from '../../protocol/ids.js'
import { invalidParams } from '../../protocol/v2/invalid-params.js'
import { knownConfigOf } from '../../protocol/v2/params.js'
import { messageText, teamInfo } from '../../protocol/v2/shapes.js'
import type { Asked, Handlers, Outcome } from './asked.js'
import { fromTheBeginning, prompted, spawned, stopped } from './session-methods.js'
import { swarmOf } from './standing.js'

/** How a strategy is worked by; docs/sessions.md says what each topology means. */
const TOPOLOGY = {
  sequential: 'ring',
  parallel: 'mesh',
  'round-robin': 'star',
  custom: 'hierarchical',
} as const

export const TEAM_METHODS: Handlers<'team.create' | 'team.status' | 'team.message' | 'team.dissolve'> = {
  'team.create': createTeam,
  'team.status': async ({ params: { teamId }, caller, parts }) => {
    const { session, role } = await swarmOf(parts, caller, teamId)
    return { payload: teamInfo(session, role, await parts.sources.swarm(teamId)) }
  },
  'team.message': async ({ params, caller, parts }) => {
    const { teamId, from, to, content, metadata, idempotencyKey: key } = params
    await swarmOf(parts, caller, teamId)
    const teamMessage = { teamId, messageId: newMessageId(), from, to, metadata }
    const task = { description: messageText(teamMessage, content), metadata: { teamMessage } }
    const { promptId, duplicate } = await prompted(caller, teamId, task, { key })
    return { payload: { teamId, messageId: teamMessage.messageId, promptId, duplicate } }
  },
  'team.dissolve': async ({ params: { teamId }, caller, parts }) => {
    await swarmOf(parts, caller, teamId)
    return { payload: { teamId, ...(await stopped(caller, teamId)), dissolved: true } }
  },
}

async function createTeam({ params, caller, peer }: Asked<'team.create'>): Promise<Outcome> {
  const { name, description, orchestratorId = 'default', agents, coordinationStrategy: strategy, task } = params
  const configs = agents.map(({ config }) => knownConfigOf(config))
  const wrong = configs.find(({ success }) => !success)
  if (wrong?.error) throw invalidParams(wrong.error)
  // The whole team speaks to one model: the first that somebody of it names.
  const model = configs.find(({ data }) => data?.model !== undefined)?.data?.model
  const team = { name, description, strategy, members: agents }
  const session = await spawned(caller, {
    ...{ orchestratorId, sessionType: 'claude-flow', idempotencyKey: params.idempotencyKey },
    task: { ...task, type: 'general', metadata: { team } },
    options: { model, topology: TOPOLOGY[strategy], maxAgents: agents.length },
  })
  return {
    payload: teamInfo(session, { team }, undefined),
    after: params.subscribe ? fromTheBeginning(peer, session) : undefined,
  }
}
