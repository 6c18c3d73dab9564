/**
 * Clients that lose their network and come back at another edge, a few at a time and one after the other: whoever came back
 * last stays longest.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { LoadClient } from './load-client.js'

/** A fault does not wait longer for them: most have found another edge within 200 ms. */
const TIMEOUT_MS = 500
const POLL_MS = 20

export class Roaming {
  #next = 0

  constructor(private readonly clients: readonly LoadClient[]) {}

  /** Resolves when the next `count` clients watch their sessions at another edge, or have had their time. */
  async move(count: number): Promise<void> {
    const moving = Array.from({ length: count }, () => this.clients[this.#next++ % this.clients.length])
    for (const client of moving) client?.loseConnection()
    const deadline = performance.now() + TIMEOUT_MS
    do await sleep(POLL_MS)
    while (moving.some((client) => client?.watching === false) && performance.now() < deadline)
  }
}
