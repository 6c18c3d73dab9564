/**
 * `orchestrator-daemon health`: asks the health page; for people, container checks and scripts.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Config, loadConfig } from '../config/load.js'
import { type ConnectionFlags, reachable } from './address.js'
import { CommandFailure, EXIT } from './exit.js'
import { Output } from './output.js'

export interface HealthFlags extends Pick<ConnectionFlags, 'url' | 'host' | 'port' | 'config'> {
  readonly role?: string
  readonly json?: true
  readonly verbose?: true
  /** For one try, in ms. */
  readonly timeout: number
  readonly retries: number
}

interface Answer {
  readonly healthy: boolean
  readonly status: string
  readonly url: string
  /** The page, as it came. */
  readonly body?: unknown
}

/** Long enough for a daemon that is just starting, short enough for a check that is waited for. */
const PAUSE_MS = 500
const ADMIN_HEALTH_PATH = '/health'

export async function health(flags: HealthFlags): Promise<void> {
  const output = new Output()
  const url = pageOf(flags)
  const answer = await askRepeatedly(url, flags, output)
  if (!answer.healthy) process.exitCode = EXIT.failed
  if (flags.json) output.json(answer)
  else show(answer, flags, output)
}

/** Roles without clients have the page on the metrics port only. */
function pageOf(flags: HealthFlags): string {
  if (flags.url !== undefined) return pageUnder(flags.url, settingsOf(flags).monitoring.healthPath)
  const { server, monitoring } = settingsOf(flags)
  const { host = server.host, port = server.port } = flags
  const ofClients = (server.role === 'all' || server.role === 'edge') && monitoring.healthEnabled
  const scheme = server.tlsCertFile === undefined ? 'http' : 'https'
  if (ofClients || flags.port !== undefined) return `${scheme}://${reachable(host)}:${port}${monitoring.healthPath}`
  return `http://${reachable(monitoring.metricsHost)}:${monitoring.metricsPort}${ADMIN_HEALTH_PATH}`
}

function settingsOf({ config, role }: HealthFlags): Config {
  return loadConfig({ flags: { config, role }, env: process.env, cwd: process.cwd() })
}

function pageUnder(text: string, path: string): string {
  const address = text.replace(/^ws/, 'http')
  if (!/^https?:\/\//.test(address) || !URL.canParse(address)) {
    throw new CommandFailure(`--url ${text} is not an address; an address looks like ws://127.0.0.1:8787`)
  }
  return new URL(path, address).href
}

async function askRepeatedly(url: string, flags: HealthFlags, output: Output): Promise<Answer> {
  for (let attempt = 1; ; attempt++) {
    const answer = await ask(url, flags.timeout)
    if (answer.healthy || attempt >= Math.max(1, flags.retries)) return answer
    if (flags.verbose) output.note(`try ${attempt} of ${flags.retries}: ${answer.status}`)
    await sleep(PAUSE_MS)
  }
}

async function ask(url: string, timeoutMs: number): Promise<Answer> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs) })
    const body = parsed(await response.text())
    const word = (body as { readonly status?: unknown } | null)?.status
    return { healthy: response.ok, status: typeof word === 'string' ? word : `HTTP ${response.status}`, url, body }
  } catch (error) {
    const late = error instanceof Error && error.name === 'TimeoutError'
    return { healthy: false, status: late ? `no answer within ${timeoutMs} ms` : 'nothing answers', url }
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // Not our page; what came is shown as it is.
    return text
  }
}

function show({ healthy, status, url, body }: Answer, { verbose }: HealthFlags, output: Output): void {
  const { green, red, dim } = output.colours
  output.line(`${healthy ? green(status) : red(status)} ${dim(url)}`)
  if (verbose && body !== undefined) output.line(JSON.stringify(body, undefined, 2))
}
