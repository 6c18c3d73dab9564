/**
 * What this service and Neolith tell each other, as programs see it.
 */

export interface NeolithApiConfig {
  /** Such as `http://localhost:3000`. */
  readonly baseUrl: string
  /** `vp_<orchestrator id>_…` */
  readonly apiKey: string
  readonly apiSecret: string
  /** Requests that one call makes at most; default 3. */
  readonly retryAttempts?: number
  /** Before the second one, in ms; doubled with each. Default 1,000. */
  readonly retryDelay?: number
  /** How long before its end an access token is replaced, in ms; default five minutes. */
  readonly tokenRefreshBuffer?: number
  /** For one request and its answer, in ms; default 10,000. */
  readonly timeoutMs?: number
}

export interface AuthResponse {
  readonly accessToken: string
  readonly refreshToken: string
  /** ISO 8601, by Neolith's clock. */
  readonly expiresAt: string
  readonly sessionId: string
  readonly orchestrator: {
    readonly id: string
    readonly discipline: string | null
    readonly role: string | null
    readonly status: string
    readonly user: {
      readonly id: string
      readonly name: string | null
      readonly email: string
      readonly status: string
    }
    readonly organization: NeolithOrganization
  }
}

export interface NeolithOrganization {
  readonly id: string
  readonly name: string
  readonly slug: string
}

export interface RefreshResponse {
  readonly accessToken: string
  readonly expiresAt: string
}

export interface HeartbeatMetrics {
  readonly memoryUsageMB?: number
  readonly cpuUsagePercent?: number
  readonly activeConnections?: number
  /** Neolith drops it; programs of the reference send it. */
  readonly activeSessions?: number
  readonly messagesProcessed?: number
  readonly errorsCount?: number
  readonly uptimeSeconds?: number
  readonly lastTaskCompletedAt?: string
  readonly queueDepth?: number
}

export interface HeartbeatOptions {
  /** Default: the session of the sign-in. */
  readonly sessionId?: string
  /** Default `active`. */
  readonly status?: 'active' | 'idle' | 'busy'
  readonly metrics?: HeartbeatMetrics
}

export interface HeartbeatResponse {
  readonly success: true
  readonly serverTime: string
  readonly nextHeartbeat: string
  readonly heartbeatIntervalMs: number
}

export interface MessageAuthor {
  readonly id: string
  readonly name: string | null
  readonly displayName?: string | null
  readonly avatarUrl?: string | null
  readonly isOrchestrator?: boolean
}

export interface MessageAttachment {
  readonly type: string
  readonly url: string
  readonly name?: string
}

export interface Message {
  readonly id: string
  readonly content: string
  readonly type: string
  readonly metadata: Readonly<Record<string, unknown>> | null
  readonly createdAt: Date
  readonly updatedAt: Date
  readonly isEdited: boolean
  readonly channelId: string
  readonly parentId: string | null
  readonly author: MessageAuthor
}

export interface GetMessagesOptions {
  /** At most 100; default 50. The newest are returned, oldest first. */
  readonly limit?: number
  /** Ids of messages. */
  readonly before?: string
  readonly after?: string
}

export interface SendMessageOptions {
  /** The message that it answers. */
  readonly threadId?: string
  readonly attachments?: readonly MessageAttachment[]
  readonly metadata?: Readonly<Record<string, unknown>>
}

/** `error` makes Neolith refuse the next sign-in until somebody there says otherwise. */
export type OrchestratorStatus = 'active' | 'paused' | 'error'

/** `offline` makes Neolith refuse the next sign-in until somebody there says otherwise. */
export type PresenceStatus = 'online' | 'away' | 'busy' | 'offline'

export interface OperationalConfig {
  readonly heartbeatIntervalMs: number
  readonly reconnectDelayMs: number
  readonly maxReconnectAttempts: number
  readonly messageRateLimitPerMinute: number
  readonly idleTimeoutMs: number
}

export interface OrchestratorConfig {
  readonly orchestrator: {
    readonly id: string
    readonly discipline: string | null
    readonly role: string | null
    readonly status: string
    readonly daemonEndpoint: string | null
    readonly createdAt: Date
    readonly updatedAt: Date
  }
  readonly user: Readonly<Record<string, unknown>>
  readonly organization: NeolithOrganization
  readonly capabilities: Readonly<Record<string, unknown>>
  readonly charter: unknown
  readonly operationalConfig: OperationalConfig
  readonly scopes: readonly string[]
  readonly endpoints: Readonly<Record<string, string>>
}

export interface NeolithEvent {
  readonly id: string
  /** `message_created`, `mention`, or what else Neolith was told to queue. */
  readonly type: string
  readonly payload: Readonly<Record<string, unknown>>
  readonly createdAt: string
  readonly channelId?: string
  readonly messageId?: string
}

export interface NeolithChannel {
  readonly id: string
  readonly name: string
  readonly description?: string | null
  /** `PUBLIC`, `PRIVATE`, `DM`. */
  readonly type: string
  readonly isPrivate?: boolean
  readonly memberCount?: number
  readonly messageCount?: number
  readonly createdAt?: string
  readonly updatedAt?: string
}

export interface DaemonInfo {
  readonly instanceId: string
  readonly version: string
  readonly host: string
  readonly port: number
  readonly protocol: 'http' | 'https' | 'ws' | 'wss'
  readonly startedAt: string
  readonly capabilities?: readonly string[]
  readonly metadata?: Readonly<Record<string, unknown>>
}

export interface Registration {
  readonly orchestratorId: string
  readonly organizationId: string
  readonly daemonInfo: DaemonInfo
}

export interface NeolithSession {
  readonly id: string
  readonly orchestratorId?: string
  readonly type?: string
  readonly status?: string
  readonly createdAt?: string
  readonly expiresAt?: string
}

export interface SessionUpdate {
  readonly sessionId: string
  readonly status?: 'active' | 'idle' | 'expired' | 'terminated'
  readonly metadata?: Readonly<Record<string, unknown>>
  readonly extendTTL?: boolean
  readonly lastActivityAt?: string
}
