/**
 * Which sessions of a tenant something happens in: looked at once for all connections of this edge that want to hear of all
 * of them. Nobody else pays for it: it is read where events are projected to, and not where they pass by.
 */
import type { EdgeLog } from '../dependencies.js'
import type { Look } from './sources.js'

/** Between two looks; what a session says meanwhile is read from its log. */
const LOOK_MS = 2_000

interface Watched {
  readonly listeners: Set<(look: Look) => void>
  timer: NodeJS.Timeout | undefined
}

export class TenantActivity {
  readonly #look: (tenant: string) => Promise<Look>
  readonly #trace: Pick<EdgeLog, 'warn'>
  readonly #tenants = new Map<string, Watched>()
  #isAway = false

  constructor(look: (tenant: string) => Promise<Look>, trace: Pick<EdgeLog, 'warn'>) {
    this.#look = look
    this.#trace = trace
  }

  /** Tells `listener` of every look, until the function that is returned is called. */
  watch(tenant: string, listener: (look: Look) => void): () => void {
    const watched = this.#tenants.get(tenant) ?? this.#begin(tenant)
    watched.listeners.add(listener)
    return () => {
      watched.listeners.delete(listener)
      if (watched.listeners.size > 0 || this.#tenants.get(tenant) !== watched) return
      clearTimeout(watched.timer)
      this.#tenants.delete(tenant)
    }
  }

  #begin(tenant: string): Watched {
    const watched: Watched = { listeners: new Set(), timer: undefined }
    this.#tenants.set(tenant, watched)
    void this.#lookAgain(tenant, watched)
    return watched
  }

  async #lookAgain(tenant: string, watched: Watched): Promise<void> {
    try {
      const look = await this.#look(tenant)
      for (const listener of watched.listeners) listener(look)
      this.#isAway = false
    } catch (err) {
      if (!this.#isAway) this.#trace.warn({ err, tenant }, 'whoever watches a tenant waits for the database')
      this.#isAway = true
    }
    if (this.#tenants.get(tenant) !== watched) return
    watched.timer = setTimeout(() => void this.#lookAgain(tenant, watched), LOOK_MS).unref()
  }
}
