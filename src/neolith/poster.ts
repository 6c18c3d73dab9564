/**
 * Writes one message to Neolith, once: what may have arrived is looked for before it is sent again. Waits for as long as
 * Neolith is away, and no faster than it allows.
 *
 *   send ─ fate not known ─▶ look for the key in the thread ─ there ─▶ done
 *    ▲                                                      └ not there, twice ─▶ send again
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { NeolithTaskRow, Posting } from '../storage/neolith-tasks.js'
import type { NeolithApiClient } from './api-client.js'
import { NeolithError, OWN_CODES } from './neolith-error.js'
import type { Pace } from './pace.js'

/** Pause before the next attempt, doubled with each. */
const FIRST_PAUSE_MS = 500
const MAX_PAUSE_MS = 15_000
/** How long a message is tried for: nobody waits for an answer any longer. */
const GIVE_UP_MS = 60 * 60 * 1_000
/** Newest messages of a channel that are looked through; the most that Neolith gives. */
const LOOK_LIMIT = 100
/** Looks that find nothing before it is believed not to have arrived. */
const LOOKS = 2
/** Between looks: a request whose connection broke may still be worked on. */
const LOOK_AGAIN_MS = 3_000

export const SOURCE = 'orchestrator-daemon'

export interface PosterOptions {
  readonly client: Pick<NeolithApiClient, 'sendMessage' | 'getMessages'>
  readonly pace: Pace
  readonly lookAgainMs?: number
}

/** Neolith will not take it, however often it is asked. */
export class Undeliverable extends Error {}

type Place = Pick<NeolithTaskRow, 'channelId' | 'messageId' | 'sessionId'>

export class Poster {
  readonly #options: PosterOptions

  constructor(options: PosterOptions) {
    this.#options = options
  }

  /**
   * Resolves when it stands in Neolith. `unsure`: somebody may have sent it before.
   * @throws Undeliverable; the reason of `signal`, which ends the waiting
   */
  async deliver(place: Place, posting: Posting, unsure: boolean, signal: AbortSignal): Promise<void> {
    const until = performance.now() + GIVE_UP_MS
    let look = unsure
    for (let failures = 0; ; failures++) {
      try {
        if (look && (await this.#isThere(place, posting, signal))) return
        look = false
        await this.#options.pace.next(signal)
        await this.#send(place, posting)
        return
      } catch (error) {
        signal.throwIfAborted()
        // At the end of this process nothing is known of what comes after it.
        if (!(error instanceof NeolithError) || error.code === OWN_CODES.stopped) throw error
        if (!error.retryable || performance.now() > until) throw new Undeliverable(error.message, { cause: error })
        look ||= error.mayBeTaken
        const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** failures, MAX_PAUSE_MS)
        await sleep(Math.max(pauseMs, error.retryAfterMs ?? 0), undefined, { signal, ref: false })
      }
    }
  }

  async #send({ channelId, messageId, sessionId }: Place, posting: Posting): Promise<void> {
    const { content, key, kind, taskId } = posting
    const metadata = { source: SOURCE, key, kind, taskId, sessionId }
    await this.#options.client.sendMessage(channelId, content, { threadId: messageId, metadata })
  }

  async #isThere({ channelId, messageId }: Place, { key }: Posting, signal: AbortSignal): Promise<boolean> {
    for (let look = 1; ; look++) {
      const query = { after: messageId, limit: LOOK_LIMIT }
      const { messages } = await this.#options.client.getMessages(channelId, query)
      if (messages.some(({ metadata }) => metadata?.key === key)) return true
      if (look === LOOKS) return false
      await sleep(this.#options.lookAgainMs ?? LOOK_AGAIN_MS, undefined, { signal, ref: false })
    }
  }
}
