/**
 * Answers of Neolith, taken apart: what this service depends on is checked, everything else is passed on as it came.
 */
import { z } from 'zod'
import type { Reader } from './transport.js'
import type {
  AuthResponse,
  HeartbeatResponse,
  Message,
  NeolithChannel,
  NeolithEvent,
  NeolithSession,
  OrchestratorConfig,
  RefreshResponse,
} from './types.js'

/** A token goes into a header. */
const token = z
  .string()
  .min(1)
  .max(16_384)
  .regex(/^[\x21-\x7e]+$/)
const id = z.string().min(1).max(256)
const time = z.string().refine((text) => !Number.isNaN(Date.parse(text)))
const date = time.transform((text) => new Date(text))
const milliseconds = z.number().positive()

const auth = z.looseObject({
  accessToken: token,
  refreshToken: token,
  expiresAt: time,
  sessionId: id,
  orchestrator: z.looseObject({ id, user: z.looseObject({ id }) }),
})
const refresh = z.looseObject({ accessToken: token, expiresAt: time })
const heartbeat = z.looseObject({ success: z.literal(true), serverTime: time, heartbeatIntervalMs: milliseconds })
const config = z.looseObject({
  orchestrator: z.looseObject({ id, createdAt: date, updatedAt: date }),
  operationalConfig: z.looseObject({ heartbeatIntervalMs: milliseconds, messageRateLimitPerMinute: milliseconds }),
})
const message = z.looseObject({ id, content: z.string(), channelId: id, createdAt: date, updatedAt: date })
const event = z.looseObject({
  id,
  type: z.string().max(64),
  payload: z.record(z.string(), z.unknown()),
  createdAt: time,
  channelId: id.optional(),
  messageId: id.optional(),
})
const channel = z.looseObject({ id, name: z.string(), type: z.string() })
const session = z.looseObject({ id })

const reader =
  <T>(schema: z.ZodType): Reader<T> =>
  (body) => {
    const read = schema.safeParse(body)
    return read.success ? (read.data as T) : undefined
  }

export const readAuth = reader<AuthResponse>(auth)
export const readRefresh = reader<RefreshResponse>(refresh)
export const readHeartbeat = reader<HeartbeatResponse>(heartbeat)
export const readConfig = reader<OrchestratorConfig>(config)
export const readMessages = reader<{ messages: Message[] }>(z.looseObject({ messages: z.array(message) }))
export const readMessageId = reader<{ messageId: string }>(z.looseObject({ messageId: id }))
export const readEvents = reader<{ events: NeolithEvent[] }>(z.looseObject({ events: z.array(event) }))
export const readChannels = reader<{ channels: NeolithChannel[] }>(z.looseObject({ channels: z.array(channel) }))
export const readSessions = reader<{ sessions: NeolithSession[] }>(z.looseObject({ sessions: z.array(session) }))
export const readSession = reader<{ session: NeolithSession }>(z.looseObject({ session }))
export const readSuccess = reader<{ success: true }>(z.looseObject({ success: z.literal(true) }))
export const readData = reader<{ data: Record<string, unknown> }>(
  z.looseObject({ success: z.literal(true), data: z.record(z.string(), z.unknown()) }),
)
