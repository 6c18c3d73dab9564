/**
 * What a session does while the store does not answer: asks again, for as long as the session may still be its worker's.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { StoreRefusal } from '../bus/bus.js'
import { WriterLost } from './writer-lost.js'

const RETRY_MS = 50
/** Longer than the cluster needs to declare this worker dead: by then somebody else owns the session. */
const GIVE_UP_MS = 15_000

/**
 * Asks until the store answers. `ask` may be repeated, also after an attempt that was carried out and whose answer was
 * lost. `ended` tells why nobody waits any more, and undefined while somebody does.
 * @throws WriterLost when the store stays away, StoreRefusal, or what `ended` says
 */
export async function untilStoreAnswers<T>(ask: () => Promise<T>, ended: () => unknown): Promise<T> {
  const giveUpAt = performance.now() + GIVE_UP_MS
  for (;;) {
    try {
      return await ask()
    } catch (error) {
      const over = ended()
      if (over !== undefined) throw over
      if (performance.now() > giveUpAt) throw new WriterLost('unreachable')
      if (error instanceof StoreRefusal) throw error
      await sleep(RETRY_MS)
    }
  }
}
