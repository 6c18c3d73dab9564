/**
 * The process of all clients of the streams: holds as many sessions as it is told, and reports what they saw.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Target } from '../generator/socket.js'
import { StreamMeter, type StreamReport } from './stream-meter.js'
import { Watcher } from './watcher.js'

/** So many sessions share a connection, as on a page that shows several. */
const SESSIONS_PER_CONNECTION = 10
/** Connections whose sessions are spawned at one time. */
const SPAWNING_AT_ONCE = 10

export type ClientsOrder =
  | { readonly order: 'connect'; readonly targets: readonly Target[]; readonly tokens: readonly string[] }
  | { readonly order: 'hold'; readonly sessions: number }
  | { readonly order: 'measure'; readonly seconds: number }

export type ClientsAnswer =
  | { readonly answer: 'done' }
  | { readonly answer: 'report'; readonly report: StreamReport }
  | { readonly answer: 'failed'; readonly reason: string }

class Clients {
  readonly #meter = new StreamMeter()
  readonly #watchers: Watcher[] = []
  #targets: readonly Target[] = []
  #tokens: readonly string[] = []

  async obey(order: ClientsOrder): Promise<ClientsAnswer> {
    if (order.order === 'connect') {
      this.#targets = order.targets
      this.#tokens = order.tokens
    } else if (order.order === 'hold') await this.#hold(order.sessions)
    else return { answer: 'report', report: await this.#measure(order.seconds) }
    return { answer: 'done' }
  }

  async #hold(sessions: number): Promise<void> {
    const needed = Math.ceil(sessions / SESSIONS_PER_CONNECTION)
    while (this.#watchers.length < needed) await this.#connect()
    const wanted = this.#watchers.map((_, index) =>
      Math.max(0, Math.min(SESSIONS_PER_CONNECTION, sessions - index * SESSIONS_PER_CONNECTION)),
    )
    for (let from = 0; from < this.#watchers.length; from += SPAWNING_AT_ONCE) {
      const some = this.#watchers.slice(from, from + SPAWNING_AT_ONCE)
      await Promise.all(some.map((watcher, index) => hold(watcher, wanted[from + index] ?? 0)))
    }
  }

  async #connect(): Promise<void> {
    const number = this.#watchers.length
    const target = this.#targets[number % this.#targets.length]
    if (!target) throw new Error('there is no edge to connect to')
    const token = this.#tokens[number % this.#tokens.length] ?? ''
    const watcher = new Watcher({ target, token, meter: this.#meter })
    await watcher.open()
    this.#watchers.push(watcher)
  }

  async #measure(seconds: number): Promise<StreamReport> {
    this.#meter.begin()
    await sleep(seconds * 1_000)
    return this.#meter.report()
  }
}

async function hold(watcher: Watcher, sessions: number): Promise<void> {
  while (watcher.sessions > sessions) watcher.stopOne()
  while (watcher.sessions < sessions) await watcher.spawn()
}

const clients = new Clients()
const answer = (it: ClientsAnswer): void => void process.send?.(it)
process.once('disconnect', () => process.exit(1))
process.on('message', (order: ClientsOrder) => {
  clients.obey(order).then(answer, (error: unknown) => {
    answer({ answer: 'failed', reason: error instanceof Error ? error.message : String(error) })
  })
})
