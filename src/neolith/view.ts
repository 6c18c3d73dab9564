/**
 * What other doors may read of Neolith: channels, and what goes back and forth. For answers to questions; nothing here
 * changes anything.
 */
import { ServiceError } from '../protocol/errors.js'
import type { NeolithApiClient } from './api-client.js'
import type { BreakerState } from './breaker.js'
import { NeolithError } from './neolith-error.js'
import type { NeolithChannel } from './types.js'

export interface NeolithTraffic {
  /** Messages that Neolith takes in a minute. */
  readonly messagesPerMinute: number
  /** Of this process, since it started. */
  readonly sent: number
  readonly received: number
  readonly failedCalls: number
  readonly breaker: BreakerState
  /** Whether this node speaks for the service now. */
  readonly reporting: boolean
}

/** Each throws ServiceError `unavailable`, with the reason, for what it cannot tell now. */
export interface NeolithView {
  /** Channels that the orchestrator is a member of. */
  channels(): Promise<readonly NeolithChannel[]>
  /** Undefined where there is none, or the orchestrator is no member. */
  channel(id: string): Promise<NeolithChannel | undefined>
  traffic(): Promise<NeolithTraffic>
}

export interface NeolithViewParts {
  readonly client: Pick<NeolithApiClient, 'getChannels' | 'join' | 'isAuthenticated'>
  readonly scopes: readonly string[]
  readonly traffic: () => NeolithTraffic
}

/** Signs in when it is first asked: a node that only looks uses the tokens of the one that reports. */
export function neolithView({ client, scopes, traffic }: NeolithViewParts): NeolithView {
  const channels = async (): Promise<readonly NeolithChannel[]> => {
    try {
      if (!client.isAuthenticated()) await client.join(scopes)
      return await client.getChannels()
    } catch (error) {
      if (!(error instanceof NeolithError)) throw error
      throw new ServiceError('unavailable', { reason: error.message })
    }
  }
  return {
    channels,
    channel: async (id) => (await channels()).find((channel) => channel.id === id),
    traffic: async () => traffic(),
  }
}
