/**
 * What becomes of items that are to be kept, beside those that are there. Pure.
 */

interface Wanted {
  readonly id: string
  readonly identity: string
  readonly contentHash: string
  readonly validFrom: Date
  readonly expiresAt?: Date | undefined
}

export interface CurrentMemory {
  readonly id: string
  readonly identity: string
  readonly contentHash: string
  readonly validFrom: Date
}

export interface KeptMemory {
  readonly id: string
  /** Items that are not valid any more because of this one. */
  readonly replaced: readonly string[]
  /** False for one that was there already. */
  readonly isNew: boolean
}

export interface Writes<T> {
  /** One for each wanted item, in its order. */
  readonly kept: readonly KeptMemory[]
  readonly inserts: readonly (T & { readonly validTo?: Date | undefined })[]
  readonly ended: readonly { readonly id: string; readonly at: Date }[]
  readonly renewed: readonly { readonly id: string; readonly expiresAt: Date | undefined }[]
}

/**
 * Later knowledge replaces earlier knowledge, whichever arrives first: an item that began to be valid before the present
 * one is kept as a former one.
 */
export function planWrites<T extends Wanted>(wanted: readonly T[], current: readonly CurrentMemory[]): Writes<T> {
  const present = new Map<string, CurrentMemory>(current.map((item) => [item.identity, item]))
  const inserts = new Map<string, T & { readonly validTo?: Date | undefined }>()
  const ended: { id: string; at: Date }[] = []
  const renewed: { id: string; expiresAt: Date | undefined }[] = []
  const endOf = (id: string, at: Date) => {
    const fresh = inserts.get(id)
    if (fresh) inserts.set(id, { ...fresh, validTo: at })
    else ended.push({ id, at })
  }
  const keep = (item: T): KeptMemory => {
    const former = present.get(item.identity)
    if (former?.contentHash === item.contentHash) {
      if (!inserts.has(former.id)) renewed.push({ id: former.id, expiresAt: item.expiresAt })
      return { id: former.id, replaced: [], isNew: false }
    }
    if (former && item.validFrom < former.validFrom) {
      inserts.set(item.id, { ...item, validTo: former.validFrom })
      return { id: item.id, replaced: [], isNew: true }
    }
    if (former) endOf(former.id, item.validFrom)
    inserts.set(item.id, item)
    present.set(item.identity, item)
    return { id: item.id, replaced: former ? [former.id] : [], isNew: true }
  }
  const kept = wanted.map(keep)
  return { kept, inserts: [...inserts.values()], ended, renewed }
}
