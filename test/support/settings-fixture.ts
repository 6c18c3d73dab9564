/**
 * A daemon in this process, started from settings as a user writes them, and raw clients for it.
 */
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test, vi } from 'vitest'
import WebSocket from 'ws'
import type { Reloaded } from '../../src/assembly/live-settings.js'
import { logLevelOf } from '../../src/assembly/node-log.js'
import { type Config, loadConfig } from '../../src/config/load.js'
import { secretsOf } from '../../src/config/secrets.js'
import { Daemon } from '../../src/daemon.js'
import { createLog, type Log } from '../../src/telemetry/log.js'

export const PATIENCE = { timeout: 15_000, interval: 10 } as const

/**
 * A test that the settings of `names` take effect. test/unit/config/effects.test.ts reads the names from the sources and
 * misses those that no test has.
 */
export function effect(names: readonly string[], what: string, run: (context: TestContext) => Promise<void>): void {
  test(`${names.join(', ')}: ${what}`, run)
}

/**
 * A test that a change of the settings of `names` takes effect while the daemon runs, with sessions. The same file reads
 * these names.
 */
export const liveEffect = effect

export interface RunningDaemon {
  readonly daemon: Daemon
  readonly config: Config
  readonly log: Log
  /** Lines of its log. */
  readonly lines: string[]
  /** Gives it the settings of its start with these above them. */
  reload(env: Readonly<Record<string, string>>): Promise<Reloaded>
  stop(): Promise<void>
}

/** A folder of its own, for databases and workspaces; removed with `remove`. */
export function settingsFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'settings-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

/** Starts a daemon alone on free ports, unless `env` says otherwise; nothing of the developer's environment counts. */
export async function startWith(folder: string, env: Readonly<Record<string, string>>): Promise<RunningDaemon> {
  const alone = { DAEMON_PORT: '0', METRICS_PORT: '0', DATA_DIR: join(folder, 'data') }
  const read = (more: Readonly<Record<string, string>> = {}) =>
    loadConfig({
      flags: {},
      env: { ...alone, WORKSPACE_ROOT: join(folder, 'workspaces'), ...env, ...more },
      cwd: folder,
    })
  const config = read()
  const lines: string[] = []
  const logLevel = logLevelOf(config)
  const { format } = config.logging
  const output = { write: (line: string) => lines.push(line) }
  const log = createLog({ level: logLevel, format, name: 'test', role: 'all', output, secrets: secretsOf(config) })
  const daemon = new Daemon({ config, log, logLevel, onDead: () => lines.push('dead') })
  await daemon.start()
  return { daemon, config, log, lines, reload: (more) => daemon.reload(read(more)), stop: () => daemon.stop() }
}

export type Frame = Readonly<Record<string, unknown>>

/** A client that sends frames as they are and remembers what comes. */
export class RawClient {
  readonly frames: Frame[] = []
  pings = 0

  private constructor(readonly socket: WebSocket) {
    socket.on('message', (data) => this.frames.push(JSON.parse(String(data)) as Frame))
    socket.on('ping', () => {
      this.pings += 1
    })
  }

  /** Resolves when the greeting has come. Rejects with `Unexpected server response: 401` when it is not let in. */
  static async connect(url: string, headers: Record<string, string> = {}): Promise<RawClient> {
    const client = new RawClient(new WebSocket(url, { headers }))
    await once(client.socket, 'open')
    await vi.waitUntil(() => client.frames.length > 0, PATIENCE)
    return client
  }

  send(frame: Frame): void {
    this.socket.send(JSON.stringify(frame))
  }

  /** The first frame of a type, past or future. */
  async frame(type: string): Promise<Frame> {
    return vi.waitUntil(() => this.frames.find((frame) => frame.type === type), PATIENCE)
  }

  async ask(request: Frame, answer: string): Promise<Frame> {
    this.send(request)
    return this.frame(answer)
  }

  close(): void {
    this.socket.terminate()
  }
}

export interface ModelRequest {
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: Frame
}

/** A vendor that refuses every request and remembers it. */
export async function refusingModel(): Promise<{ url: string; requests: ModelRequest[]; stop(): void }> {
  const requests: ModelRequest[] = []
  const server = createServer(async (request, response) => {
    let text = ''
    for await (const piece of request) text += piece
    requests.push({ path: request.url ?? '', headers: request.headers, body: JSON.parse(text) as Frame })
    response.writeHead(401, { 'content-type': 'application/json' }).end('{"error":{"message":"no"}}')
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, requests, stop: () => server.close() }
}
