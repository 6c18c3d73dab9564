/**
 * Where an item stands, and what makes two items the same one.
 */
import { memoryIdentity, placeIdentity } from '../storage/memory-identity.js'
import type { MemoryTier } from '../storage/schema.js'

export const DEFAULT_NAMESPACE = 'default'

interface Stands {
  readonly tier?: MemoryTier | undefined
  readonly namespace?: string | undefined
}

interface Whose {
  readonly sessionId?: string | undefined
  readonly memoryProfile?: string | undefined
}

/** Notes of a session stand in a namespace of its own, whatever else they name. */
const namespaceOf = ({ sessionId, memoryProfile = DEFAULT_NAMESPACE }: Whose, { tier, namespace }: Stands): string =>
  tier === 'scratchpad' && sessionId !== undefined ? sessionId : (namespace ?? memoryProfile)

export function identityOf(
  whose: Whose,
  note: Stands & {
    readonly tier: MemoryTier
    readonly key?: string | undefined
    readonly content: string
    readonly identity?: string | undefined
  },
): { readonly namespace: string; readonly identity: string } {
  const namespace = namespaceOf(whose, note)
  // The same is said in many sessions, and happens in each of them; what is true is true once.
  const happened = note.tier === 'episodic' && note.key === undefined ? (whose.sessionId ?? '') : ''
  return { namespace, identity: note.identity ?? memoryIdentity({ ...note, namespace: namespace + happened }) }
}

export const placeOf = (whose: Whose, place: Stands & { readonly key: string }): string => {
  const tier = place.tier ?? 'semantic'
  return placeIdentity({ tier, namespace: namespaceOf(whose, { ...place, tier }), key: place.key })
}
