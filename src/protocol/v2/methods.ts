/**
 * The methods of the second protocol as data: what each takes, which scope opens it, what it costs, and for those that are
 * no message of the first protocol, which row of the table of permissions decides.
 */
import type { z } from 'zod'
import type { Action } from '../permissions.js'
import * as takes from './params.js'
import type { V2Scope } from './scopes.js'

export interface Method {
  readonly params: z.ZodType
  /** Undefined: whoever is connected. */
  readonly scope: V2Scope | undefined
  /** Of the connection's bucket of requests. */
  readonly cost: number
  readonly summary: string
  /** For what does not pass the dispatch, which asks by itself. */
  readonly action?: Action
  /** Whether it may be sent again without a thought. */
  readonly repeatable?: true
  /** Whether events follow its answer. */
  readonly streams?: true
}

export const METHODS = {
  'auth.connect': {
    ...{ params: takes.connectParams, scope: undefined, cost: 1 },
    summary: 'Says who the client is and agrees on the version; the first request of a connection.',
  },
  'auth.refresh': {
    ...{ params: takes.refreshParams, scope: undefined, cost: 1 },
    summary: 'Puts a newer token in place of the present one, or makes one when none is sent.',
  },
  'auth.logout': {
    ...{ params: takes.logoutParams, scope: undefined, cost: 1 },
    summary: 'Ends the connection.',
  },
  'session.create': {
    ...{ params: takes.createParams, scope: 'daemon.write', cost: 3, streams: true },
    summary: 'Spawns a session; its events follow unless `subscribe` is false.',
  },
  'session.resume': {
    ...{ params: takes.resumeParams, scope: 'daemon.write', cost: 1, streams: true },
    summary: 'Goes on with a paused session, and shows what came after `from`, or comes from now on.',
  },
  'session.stop': {
    ...{ params: takes.stopParams, scope: 'daemon.write', cost: 1 },
    summary: 'Ends a session and cancels what it is at.',
  },
  'session.list': {
    ...{ params: takes.listParams, scope: 'daemon.read', cost: 1, repeatable: true },
    summary: 'Lists sessions, newest first.',
  },
  'session.status': {
    ...{ params: takes.ofSession, scope: 'daemon.read', cost: 1, repeatable: true },
    summary: 'Tells how a session stands.',
  },
  'prompt.submit': {
    ...{ params: takes.submitParams, scope: 'daemon.write', cost: 5, streams: true },
    summary: 'Gives a session a task; what comes of it follows as events unless `stream` is false.',
  },
  'prompt.cancel': {
    ...{ params: takes.cancelParams, scope: 'daemon.write', cost: 1 },
    summary: 'Cancels a prompt, or the one that is running.',
  },
  'tool.approve': {
    ...{ params: takes.approveParams, scope: 'daemon.approve', cost: 1 },
    summary: 'Lets a tool call run that waits for a person.',
  },
  'tool.deny': {
    ...{ params: takes.denyParams, scope: 'daemon.approve', cost: 1 },
    summary: 'Refuses a tool call that waits for a person.',
  },
  'agent.spawn': {
    ...{ params: takes.agentSpawnParams, scope: 'daemon.write', cost: 3, streams: true },
    summary: 'Spawns an agent: a session of type claude-flow.',
  },
  'agent.status': {
    ...{ params: takes.ofAgent, scope: 'daemon.read', cost: 1, repeatable: true },
    summary: 'Tells how an agent stands.',
  },
  'agent.stop': {
    ...{ params: takes.agentStopParams, scope: 'daemon.write', cost: 1 },
    summary: 'Ends an agent.',
  },
  'team.create': {
    ...{ params: takes.teamCreateParams, scope: 'daemon.teams', cost: 3, streams: true },
    summary: 'Spawns a team: one session of type claude-flow whose coordinator gives the task out.',
  },
  'team.status': {
    ...{ params: takes.ofTeam, scope: 'daemon.teams', cost: 1, repeatable: true },
    summary: 'Tells how a team and its agents stand.',
  },
  'team.message': {
    ...{ params: takes.teamMessageParams, scope: 'daemon.teams', cost: 1 },
    summary: 'Tells a team something; it becomes a task of its session.',
  },
  'team.dissolve': {
    ...{ params: takes.dissolveParams, scope: 'daemon.teams', cost: 1 },
    summary: 'Ends a team.',
  },
  'memory.query': {
    ...{ params: takes.queryParams, scope: 'daemon.read', cost: 2, repeatable: true, action: 'read_memory' },
    summary: 'Searches what is remembered.',
  },
  'memory.store': {
    ...{ params: takes.storeParams, scope: 'daemon.write', cost: 2, action: 'write_memory' },
    summary: 'Remembers something.',
  },
  'memory.delete': {
    ...{ params: takes.deleteParams, scope: 'daemon.write', cost: 2, action: 'write_memory' },
    summary: 'Forgets something.',
  },
  'config.get': {
    ...{ params: takes.configGetParams, scope: 'daemon.read', cost: 1, repeatable: true, action: 'read_config' },
    summary: 'Tells the settings of this node; secrets are hidden.',
  },
  'config.set': {
    ...{ params: takes.configSetParams, scope: 'daemon.admin', cost: 2, action: 'write_config' },
    summary: 'Changes settings of this node that can be changed while it runs.',
  },
  'health.ping': {
    ...{ params: takes.pingParams, scope: undefined, cost: 1, repeatable: true },
    summary: 'Answers at once.',
  },
  'health.status': {
    ...{ params: takes.nothing, scope: 'daemon.read', cost: 1, repeatable: true },
    summary: 'Tells how the service and its parts do.',
  },
  subscribe: {
    ...{ params: takes.subscribeParams, scope: 'daemon.read', cost: 1, streams: true },
    summary:
      'Asks for events by name; with `filter.sessionId` of a session, otherwise of all that this connection watches.',
  },
  unsubscribe: {
    ...{ params: takes.unsubscribeParams, scope: 'daemon.read', cost: 1 },
    summary: 'Ends a subscription.',
  },
  'rpc.discover': {
    ...{ params: takes.discoverParams, scope: undefined, cost: 1, repeatable: true },
    summary: 'Lists methods and events.',
  },
  'rpc.describe': {
    ...{ params: takes.describeParams, scope: undefined, cost: 1, repeatable: true },
    summary: 'Describes one method.',
  },
} as const satisfies Record<string, Method>

export type MethodName = keyof typeof METHODS
export const METHOD_NAMES = Object.keys(METHODS) as MethodName[]
export type Params<N extends MethodName> = z.output<(typeof METHODS)[N]['params']>

export const isMethod = (name: string): name is MethodName => Object.hasOwn(METHODS, name)
