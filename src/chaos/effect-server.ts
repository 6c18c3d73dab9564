/**
 * The world that tools change: an HTTP server that writes down every effect under the tool call that asked for it. It
 * answers a moment later, so that faults find calls whose effect has happened and whose result is not known yet.
 */
import { createServer, type Server } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { fingerprint } from './fingerprint.js'
import { type EffectClass, type EffectLine, now } from './journal.js'
import { listen } from './local-server.js'
import type { RandomInteger } from './seeded-random.js'

const MIN_ANSWER_MS = 5
const MAX_ANSWER_MS = 250

export class EffectServer {
  readonly #server: Server
  #port = 0

  private constructor(append: (line: EffectLine) => void, random: RandomInteger) {
    this.#server = createServer((request, response) => {
      const { searchParams } = new URL(request.url ?? '/', 'http://localhost')
      append({
        kind: 'effect',
        command: searchParams.get('command') ?? '',
        call: searchParams.get('call') ?? '',
        class: (searchParams.get('class') ?? 'once') as EffectClass,
        hash: fingerprint(request.url ?? ''),
        at: now(),
      })
      request.resume()
      response.on('error', () => {}) // Whoever asked was killed meanwhile; the effect has happened.
      void sleep(random(MIN_ANSWER_MS, MAX_ANSWER_MS)).then(() => response.end('done'))
    })
  }

  static async start(append: (line: EffectLine) => void, random: RandomInteger): Promise<EffectServer> {
    const server = new EffectServer(append, random)
    server.#port = await listen(server.#server)
    return server
  }

  /** Where a call of this command has its effect. */
  url(command: string, call: string, effect: EffectClass): string {
    return `http://127.0.0.1:${this.#port}${this.path(command, call, effect)}`
  }

  path(command: string, call: string, effect: EffectClass): string {
    return `/effect?${new URLSearchParams({ command, call, class: effect })}`
  }

  get port(): number {
    return this.#port
  }

  async stop(): Promise<void> {
    this.#server.close()
    this.#server.closeAllConnections()
  }
}
