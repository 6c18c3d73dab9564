/**
 * Endpoints about the service itself: who the caller is, how the daemon does, and who runs what in the cluster.
 */
import { z } from 'zod'
import { CLIENT_ROLES } from '../permissions.js'
import { type Endpoint, NOTHING, page } from './endpoint.js'
import { daemonStatusShape, time } from './shapes.js'

const count = z.number().nonnegative()

const ask = { method: 'GET', params: NOTHING, query: NOTHING } as const
const ofService = { ...ask, tag: 'Service' } as const
const ofCluster = { ...ask, tag: 'Cluster', action: 'read_cluster' } as const

const nodeShape = z
  .object({
    id: z.string(),
    name: z.string(),
    role: z.enum(['edge', 'worker', 'coordinator', 'all']),
    version: z.string(),
    status: z.enum(['live', 'draining', 'dead']),
    weight: count,
    load: z.object({ busy: count, capacity: count, queued: count }),
    lagMs: count,
    shards: count.meta({ description: 'How many it owns.' }),
    share: count.meta({ description: 'The part of all shards that its weight stands for, from 0 to 1.' }),
  })
  .meta({ id: 'Node' })

const shardShape = z
  .object({
    shard: z.number().int(),
    owner: z.string().nullable(),
    weight: count.meta({ description: 'Of its owner; 0 while nobody alive owns it.' }),
    epoch: count,
    state: z.enum(['assigned', 'releasing', 'released']),
    previousOwner: z.string().nullable(),
    changedAt: time,
    load: z
      .object({ running: count, queued: count, perSecond: count })
      .nullable()
      .meta({ description: 'Null where it is not among the hottest of its owner.' }),
  })
  .meta({ id: 'Shard' })

export const SERVICE_ENDPOINTS = {
  whoAmI: {
    ...ofService,
    path: '/api/whoami',
    summary: 'Whom the credential stands for.',
    action: 'read_credential',
    answers: {
      200: z.object({
        tenant: z.string(),
        subject: z.string(),
        role: z.enum(CLIENT_ROLES),
        scopes: z.array(z.string()).nullable().meta({ description: 'Null: all that the role may do.' }),
        expiresAt: time.nullable(),
      }),
    },
  },
  renewToken: {
    ...ofService,
    method: 'POST',
    path: '/api/token',
    summary: 'A new token in place of the one that came with the request.',
    action: 'token_refresh',
    answers: { 200: z.object({ token: z.string(), expiresAt: time }) },
  },
  readStatus: {
    ...ofService,
    path: '/api/status',
    aliases: ['/status'],
    summary: 'How the service does.',
    action: 'daemon_status',
    answers: {
      200: daemonStatusShape
        .extend({
          running: z.boolean(),
          activeAgents: count,
          totalChannels: count,
          messagesProcessed: count,
          startedAt: time,
        })
        .meta({ id: 'Status' }),
    },
  },
  readCluster: {
    ...ofCluster,
    path: '/api/cluster',
    summary: 'Who is there.',
    answers: {
      200: z.object({
        shardCount: z.number().int(),
        strategy: z.string(),
        leader: z.string().nullable(),
        nodes: z.array(nodeShape),
      }),
    },
  },
  listShards: {
    ...ofCluster,
    path: '/api/cluster/shards',
    summary: 'Who has which shard, and what it has to do.',
    answers: { 200: z.object({ shards: z.array(shardShape) }) },
  },
  listMoves: {
    ...ofCluster,
    path: '/api/cluster/moves',
    summary: 'The latest change of owner of each shard, newest first.',
    query: z.object({ limit: page.limit }),
    answers: {
      200: z.object({
        moves: z.array(
          z.object({
            shard: z.number().int(),
            from: z.string().nullable(),
            to: z.string().nullable(),
            epoch: count,
            state: z.enum(['assigned', 'releasing', 'released']),
            at: time,
          }),
        ),
      }),
    },
  },
  openApi: {
    ...ofService,
    path: '/api/openapi.json',
    summary: 'This description, as OpenAPI 3.1.',
    action: undefined,
    answers: { 200: z.looseObject({ openapi: z.string() }) },
  },
  docs: {
    ...ofService,
    path: '/api/docs',
    summary: 'This description, as a page to read.',
    action: undefined,
    answers: { 200: 'text/html' },
  },
} as const satisfies Record<string, Endpoint>
