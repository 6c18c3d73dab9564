/**
 * The cluster of docker-compose.cluster.yml under a name, a port and settings of its own, started from a copy of the files
 * that a user has: the .env beside the repository is somebody else's.
 */
import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { mintTokens, newSecret } from '../../loadtest/cluster/tokens.js'
import { freePort } from '../../src/chaos/servers/server-process.js'
import type { ReadStores } from '../../src/chaos/stores.js'
import type { Teardown } from '../../src/chaos/teardown.js'
import type { NodeId } from '../../src/protocol/ids.js'
import { call, docker } from './docker.js'
import { ROOT } from './machine.js'

export const FILE = 'docker-compose.cluster.yml'
/** Healthy after half a minute on two idle cores. */
const UP_TIMEOUT_MS = 180_000
const POLL_MS = 1_000
/** Images were built before, and nothing is fetched. */
const AS_IT_IS = ['--no-build', '--pull', 'never']
const DOWN_TIMEOUT_MS = 120_000
const QUERY_TIMEOUT_MS = 3_000
/** Postgres of the file, as it stands there. */
const DATABASE = { user: 'orchestrator', password: 'orchestrator_pass', name: 'orchestrator' }
const CLUSTER_NAME = 'compose_test'

/** What is tested is not the door: as much may come in as the load sends. */
const SETTINGS = {
  CLUSTER_NAME,
  DAEMON_RATE_LIMIT_ENABLED: 'false',
  DAEMON_AUTH_MAX_CONNECTIONS: '100000',
  DAEMON_MAX_SESSIONS: '2000',
  // Thirteen processes share a small server.
  DATABASE_POOL_SIZE: '4',
  DRAIN_TIMEOUT: '20000',
  LOG_FORMAT: 'json',
}

export class Project implements ReadStores {
  readonly clusterName = CLUSTER_NAME
  readonly secret = newSecret()
  readonly #files: readonly string[]
  #image: string
  #port = 0
  #redisUrl = ''
  #databaseUrl = ''

  /** Nothing is started yet; `folder` is empty. `variant`: a file of deploy/ on top. */
  constructor(
    readonly name: string,
    readonly folder: string,
    image: string,
    variant?: string,
  ) {
    this.#image = image
    const more = variant === undefined ? [] : ['--file', `deploy/compose.${variant}.yml`]
    this.#files = ['--project-name', name, '--file', FILE, ...more]
  }

  get url(): string {
    return `ws://127.0.0.1:${this.#port}`
  }

  get token(): string {
    return mintTokens(this.secret, 1)[0] ?? ''
  }

  get redisUrl(): string {
    return this.#redisUrl
  }

  get databaseUrl(): string {
    return this.#databaseUrl
  }

  /** Puts the files there that a user has, with a .env. */
  async prepare(): Promise<void> {
    this.#port = await freePort()
    mkdirSync(this.folder, { recursive: true })
    for (const path of [FILE, 'deploy']) cpSync(join(ROOT, path), join(this.folder, path), { recursive: true })
    this.#writeSettings()
  }

  /** From now on new containers are made of this image. */
  useImage(image: string): void {
    this.#image = image
    this.#writeSettings()
  }

  /** What goes wrong with a start without a secret, which must not take place and must say what to do. */
  async startsWithoutSecret(): Promise<string[]> {
    const env = join(this.folder, 'empty.env')
    writeFileSync(env, '')
    const said = await this.compose(['--env-file', env, 'up', '--detach', '--no-build']).then(
      () => 'it started',
      (error: Error) => error.message,
    )
    const names = /DAEMON_JWT_SECRET.*make one with "openssl rand -hex 32" and put it into \.env/.test(said)
    return names ? [] : [`a start without a secret does not say how to make one: ${said}`]
  }

  /** Resolves when every container is healthy, and everything is removed by `teardown`. */
  async start(teardown: Teardown): Promise<void> {
    teardown.add('the Compose project', () => this.#destroy())
    await this.#up()
    const network = `${this.name}_stores`
    const addressOf = async (service: string) =>
      this.#inspect(
        (await this.containers(service))[0] ?? '',
        `{{(index .NetworkSettings.Networks "${network}").IPAddress}}`,
      )
    this.#redisUrl = `redis://${await addressOf('redis')}:6379`
    const { user, password, name } = DATABASE
    this.#databaseUrl = `postgres://${user}:${password}@${await addressOf('postgres')}:5432/${name}`
  }

  /**
   * Containers that are there stay as they are. Resolves when all are healthy: one that starts anew meanwhile, because the
   * machine was too busy for its beats, is waited for, where `--wait` gives up.
   */
  async scale(service: string, count: number): Promise<void> {
    await this.compose(
      ['up', '--detach', ...AS_IT_IS, '--no-recreate', '--scale', `${service}=${count}`],
      UP_TIMEOUT_MS,
    )
    const deadline = performance.now() + UP_TIMEOUT_MS
    for (;;) {
      const states = linesOf(await this.compose(['ps', '--format', '{{.Health}}', service]))
      const healthy = states.filter((state) => state === 'healthy').length
      if (healthy === count) return
      if (performance.now() > deadline) throw new Error(`${healthy} of ${count} containers of ${service} are healthy`)
      await sleep(POLL_MS)
    }
  }

  /** Replaces the containers of a service one after the other, as the documentation tells. */
  async roll(service: string, timeoutMs: number): Promise<void> {
    const args = [join(this.folder, 'deploy/roll.sh'), service, ...this.#files]
    await call('sh', args, { timeoutMs, cwd: this.folder })
  }

  /** As a user does it: everybody is let end in order. */
  async remove(): Promise<void> {
    await this.compose(['down', '--volumes', '--remove-orphans'], DOWN_TIMEOUT_MS)
  }

  /** What is left of it: containers, networks and volumes. */
  async leftovers(): Promise<string[]> {
    const of = ['--filter', `label=com.docker.compose.project=${this.name}`, '--quiet']
    const found = await Promise.all([
      docker(['ps', '--all', ...of]),
      docker(['network', 'ls', ...of]),
      docker(['volume', 'ls', ...of]),
    ])
    return found.flatMap(linesOf)
  }

  async containers(service: string): Promise<string[]> {
    return linesOf(await this.compose(['ps', '--quiet', service]))
  }

  /** The process that a container stands for, as the host sees it. */
  async pid(container: string): Promise<number> {
    return Number(await this.#inspect(container, '{{.State.Pid}}'))
  }

  imageOf(container: string): Promise<string> {
    return this.#inspect(container, '{{.Config.Image}}')
  }

  /** The node in a container, by the last start that its log tells of. */
  async node(container: string): Promise<NodeId> {
    const log = linesOf(await docker(['logs', container]))
    const ready = log.findLast((line) => line.includes('"msg":"ready"'))
    if (ready === undefined) throw new Error(`${container} has not said that it is ready`)
    return (JSON.parse(ready) as { node: NodeId }).node
  }

  compose(args: readonly string[], timeoutMs?: number): Promise<string> {
    return docker(['compose', ...this.#files, ...args], {
      cwd: this.folder,
      ...(timeoutMs !== undefined && { timeoutMs }),
    })
  }

  /** A connection of its own for each: the server may be away in between. */
  async query<R extends object>(text: string): Promise<R[]> {
    const client = new pg.Client({
      ...{ connectionString: this.databaseUrl, query_timeout: QUERY_TIMEOUT_MS },
      connectionTimeoutMillis: QUERY_TIMEOUT_MS,
    })
    await client.connect()
    try {
      return (await client.query<R>(text)).rows
    } finally {
      await client.end()
    }
  }

  async #up(): Promise<void> {
    try {
      await this.compose(['up', '--detach', '--wait', ...AS_IT_IS], UP_TIMEOUT_MS)
    } catch (cause) {
      const state = await this.compose(['ps', '--all'])
      throw new Error(`${String(cause)}\n${state}\n${await this.compose(['logs', '--tail', '5'])}`, { cause })
    }
  }

  /** Nothing of it is worth an orderly end. */
  async #destroy(): Promise<void> {
    await this.compose(['kill']).catch(() => {}) // Nothing runs.
    await this.compose(['down', '--volumes', '--remove-orphans', '--timeout', '0'], DOWN_TIMEOUT_MS)
  }

  #inspect(container: string, format: string): Promise<string> {
    return docker(['inspect', '--format', format, container])
  }

  #writeSettings(): void {
    const settings = {
      ...SETTINGS,
      DAEMON_JWT_SECRET: this.secret,
      DAEMON_PORT: `${this.#port}`,
      ORCHESTRATOR_IMAGE: this.#image,
    }
    const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`)
    writeFileSync(join(this.folder, '.env'), lines.join(''))
  }
}

export const linesOf = (text: string): string[] => text.split('\n').filter((line) => line !== '')
