/**
 * What each method of the second protocol takes. A superset of what `@neolith/daemon-sdk` sends.
 */
import { z } from 'zod'
import { MAX_COMMENT_CHARS } from '../approvals.js'
import { executePayloadSchema, MAX_FAILURE_CHARS, MAX_ID_CHARS, MAX_PAGE, positionSchema } from '../commands.js'
import { PRIORITY_ORDER } from '../schedule.js'
import {
  freeFormSchema,
  MAX_AGENTS,
  memoryProfileSchema,
  SESSION_TYPES,
  sessionOptionsSchema,
  TOPOLOGIES,
  taskInputSchema,
} from '../session.js'
import { filterSchema, patternsSchema } from './patterns.js'
import { V2_SCOPES } from './scopes.js'
import { V2_STATUSES } from './shapes.js'

const MAX_TEXT_CHARS = 200_000
/** Becomes a task, with who said it. */
const MAX_MESSAGE_CHARS = 100_000
/** Longer than any token that is accepted. */
const MAX_TOKEN_CHARS = 16_384
const MAX_CAPABILITIES = 64
/** Beyond it `cursor` is the way to go on: each page before it is read and thrown away. */
const MAX_OFFSET = 2_000
const MAX_MEMORIES = 100
const MAX_KEYS = 256

const id = z.string().min(1).max(MAX_ID_CHARS)
const text = z.string().min(1).max(MAX_TEXT_CHARS)
const reason = z.string().max(MAX_FAILURE_CHARS).optional()
const priority = z.enum(PRIORITY_ORDER).default('medium')
/** The last that the client has: `eventId`, `messageId`, `offset` (bytes of the message) and `promptId` stand in its events. */
const from = positionSchema.extend({ promptId: id.optional() }).optional()
export type From = NonNullable<z.output<typeof from>>
const task = z.object({ description: text, priority })
/** Sent again under the same key, a request takes effect once. */
const idempotencyKey = id.optional()

export const connectParams = z.object({
  minProtocol: z.number().int().min(1),
  maxProtocol: z.number().int().min(1),
  auth: z.object({ type: z.enum(['jwt', 'api-key']), token: z.string().min(1).max(MAX_TOKEN_CHARS) }),
  client: z.object({
    id,
    version: id,
    platform: id,
    displayName: z.string().max(MAX_ID_CHARS).optional(),
    instanceId: z.string().max(MAX_ID_CHARS).optional(),
  }),
  capabilities: z.array(z.string().max(MAX_ID_CHARS)).max(MAX_CAPABILITIES).optional(),
  scopes: z.array(z.enum(V2_SCOPES)).max(V2_SCOPES.length).optional(),
})
export type ConnectParams = z.output<typeof connectParams>

/** Without a token a new one is made for the present one. */
export const refreshParams = z.object({ token: z.string().min(1).max(MAX_TOKEN_CHARS).optional() })
export const logoutParams = z.object({ reason })

export const createParams = z.object({
  orchestratorId: id.default('default'),
  sessionType: z.enum(SESSION_TYPES).optional(),
  task: taskInputSchema,
  memoryProfile: memoryProfileSchema.optional(),
  options: sessionOptionsSchema.optional(),
  subscribe: z.boolean().default(true),
  idempotencyKey,
})
export const resumeParams = z.object({ sessionId: id, subscribe: z.boolean().default(true), from })
export const stopParams = z.object({ sessionId: id, reason, force: z.boolean().default(false) })
export const ofSession = z.object({ sessionId: id })
export const listParams = z.object({
  status: z.enum(V2_STATUSES).optional(),
  limit: z.number().int().min(1).max(MAX_PAGE).default(50),
  offset: z.number().int().min(0).max(MAX_OFFSET).default(0),
  cursor: z.string().max(MAX_ID_CHARS).optional(),
})

export const submitParams = z.object({
  sessionId: id,
  prompt: text,
  context: executePayloadSchema.shape.context,
  stream: z.boolean().default(true),
  model: id.optional(),
  maxTokens: z.number().int().positive().optional(),
  idempotencyKey,
})
export const cancelParams = z.object({ sessionId: id, promptId: id.optional() })

export const approveParams = z.object({ sessionId: id, requestId: id, modifiedInput: freeFormSchema.optional() })
export const denyParams = z.object({
  sessionId: id,
  requestId: id,
  reason: z.string().max(MAX_COMMENT_CHARS).optional(),
})

/** What is known of an agent's configuration; the rest is told to the model. */
const agentConfig = freeFormSchema.optional()
const knownConfig = z.object({
  orchestratorId: id.optional(),
  model: sessionOptionsSchema.shape.model,
  topology: z.enum(TOPOLOGIES).optional(),
  maxAgents: z.number().int().min(1).max(MAX_AGENTS).optional(),
})
export const knownConfigOf = (config: z.output<typeof agentConfig>) => knownConfig.safeParse(config ?? {})

export const agentSpawnParams = z.object({
  parentSessionId: id.optional(),
  agentType: id,
  config: agentConfig,
  task,
  subscribe: z.boolean().default(true),
  idempotencyKey,
})
export const ofAgent = z.object({ agentId: id })
export const agentStopParams = z.object({ agentId: id, reason, force: z.boolean().default(false) })

export const teamCreateParams = z.object({
  name: id,
  description: z.string().max(MAX_COMMENT_CHARS).optional(),
  orchestratorId: id.optional(),
  agents: z
    .array(z.object({ agentType: id, role: id, config: agentConfig }))
    .min(1)
    .max(MAX_AGENTS),
  coordinationStrategy: z.enum(['sequential', 'parallel', 'round-robin', 'custom']).default('parallel'),
  task,
  subscribe: z.boolean().default(true),
  idempotencyKey,
})
export const ofTeam = z.object({ teamId: id })
export const teamMessageParams = z.object({
  teamId: id,
  from: id,
  /** Everybody when left out. */
  to: id.optional(),
  content: z.string().min(1).max(MAX_MESSAGE_CHARS),
  metadata: freeFormSchema.optional(),
  idempotencyKey,
})
export const dissolveParams = z.object({ teamId: id, reason })

const tier = z.enum(['scratchpad', 'episodic', 'semantic'])
export const queryParams = z.object({
  query: z.string().min(1).max(1_000),
  tier: tier.optional(),
  sessionId: id.optional(),
  limit: z.number().int().min(1).max(MAX_MEMORIES).default(10),
  /** Of the score that is told with each find; not asked for when left out. */
  similarityThreshold: z.number().min(0).max(1).optional(),
})
export const storeParams = z.object({
  content: z.string().min(1).max(MAX_TEXT_CHARS),
  tier,
  sessionId: id.optional(),
  type: z.enum(['interaction', 'observation', 'decision', 'knowledge']).default('observation'),
  metadata: freeFormSchema.optional(),
})
export const deleteParams = z.object({ memoryId: id })

export const configGetParams = z.object({
  /** Names as in the environment; all when left out. */
  keys: z.array(id).max(MAX_KEYS).optional(),
  all: z.boolean().default(false),
})
export const configSetParams = z.object({
  values: z
    .record(id, z.unknown())
    .refine((values) => Object.keys(values).length <= MAX_KEYS, `at most ${MAX_KEYS} values at once`),
  merge: z.boolean().default(true),
})

export const pingParams = z.object({ clientTimestamp: z.number().optional() })
export const nothing = z.object({})

export const subscribeParams = z.object({ events: patternsSchema, filter: filterSchema.optional(), from })
export const unsubscribeParams = z.object({ subscriptionId: id })

export const discoverParams = z.object({ includeSchemas: z.boolean().default(true) })
export const describeParams = z.object({ method: id })
