/**
 * The two processes around the service: the model that speaks, and the clients that listen.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { Teardown } from '../../src/chaos/teardown.js'
import type { LoadCluster } from '../cluster/cluster.js'
import type { ClientsAnswer, ClientsOrder } from './clients.js'
import type { StreamReport } from './stream-meter.js'

export interface StreamModel {
  readonly url: string
  readonly pid: number
}

export async function startModel(teardown: Teardown): Promise<StreamModel> {
  const child = start(teardown, './model.ts', 'the model')
  const [{ url }] = (await once(child, 'message')) as [{ readonly url: string }]
  return { url, pid: child.pid ?? 0 }
}

export class StreamClients {
  readonly #child: ChildProcess
  readonly #ended: Promise<readonly ClientsAnswer[]>

  private constructor(child: ChildProcess) {
    this.#child = child
    this.#ended = once(child, 'exit').then(() => [{ answer: 'failed', reason: 'their process has ended' }])
  }

  static async start(teardown: Teardown, { targets, tokens }: LoadCluster): Promise<StreamClients> {
    const clients = new StreamClients(start(teardown, './clients.ts', 'the clients'))
    await clients.#ask({ order: 'connect', targets, tokens })
    return clients
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  /** Resolves when exactly so many sessions are there. @throws Error when the service refuses one */
  async hold(sessions: number): Promise<void> {
    await this.#ask({ order: 'hold', sessions })
  }

  async measure(seconds: number): Promise<StreamReport> {
    const answer = await this.#ask({ order: 'measure', seconds })
    if (answer.answer !== 'report') throw new Error('the clients answered something else than a report')
    return answer.report
  }

  async #ask(order: ClientsOrder): Promise<ClientsAnswer> {
    this.#child.send(order)
    const [answer] = (await Promise.race([once(this.#child, 'message'), this.#ended])) as [ClientsAnswer]
    if (answer.answer === 'failed') throw new Error(`the clients of the streams: ${answer.reason}`)
    return answer
  }
}

function start(teardown: Teardown, file: string, name: string): ChildProcess {
  const path = fileURLToPath(new URL(file, import.meta.url))
  const child = fork(path, [], { execArgv: ['--import', 'tsx'], stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  teardown.add(name, async () => void child.kill())
  return child
}
