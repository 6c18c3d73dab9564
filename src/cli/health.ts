/**
 * `orchestrator-daemon health`: asks the health page; for people, container checks and scripts.
 */
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Config } from '../config/load.js'
import { type ConnectionFlags, reachable } from './address.js'
import { commandSettings } from './command-settings.js'
import { CommandFailure, EXIT } from './exit.js'
import { Output } from './output.js'
import { ownCertificate, type Trust } from './own-certificate.js'

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
const HTTP_OK = 200

export async function health(flags: HealthFlags): Promise<void> {
  const output = new Output()
  const page = pageOf(flags)
  const answer = await askRepeatedly(page, flags, output)
  if (!answer.healthy) process.exitCode = EXIT.failed
  if (flags.json) output.json(answer)
  else show(answer, flags, output)
}

interface HealthPage {
  readonly url: string
  readonly trust?: Trust | undefined
}

/** Roles without clients have the page on the metrics port only. */
function pageOf(flags: HealthFlags): HealthPage {
  if (flags.url !== undefined) return { url: pageUnder(flags.url, settingsOf(flags).monitoring.healthPath) }
  const config = settingsOf(flags)
  const { server, monitoring } = config
  const { host = server.host, port = server.port } = flags
  const ofClients = (server.role === 'all' || server.role === 'edge') && monitoring.healthEnabled
  const [trust, address] =
    ofClients || flags.port !== undefined
      ? [ownCertificate(config), `${reachable(host)}:${port}${monitoring.healthPath}`]
      : [
          monitoring.metricsTls ? ownCertificate(config) : undefined,
          `${reachable(monitoring.metricsHost)}:${monitoring.metricsPort}${ADMIN_HEALTH_PATH}`,
        ]
  return { url: `${trust ? 'https' : 'http'}://${address}`, trust }
}

function settingsOf({ config, role }: HealthFlags): Config {
  return commandSettings({ config, role })
}

function pageUnder(text: string, path: string): string {
  const address = text.replace(/^ws/, 'http')
  if (!/^https?:\/\//.test(address) || !URL.canParse(address)) {
    throw new CommandFailure(`--url ${text} is not an address; an address looks like ws://127.0.0.1:8787`)
  }
  return new URL(path, address).href
}

async function askRepeatedly(page: HealthPage, flags: HealthFlags, output: Output): Promise<Answer> {
  for (let attempt = 1; ; attempt++) {
    const answer = await ask(page, flags.timeout)
    if (answer.healthy || attempt >= Math.max(1, flags.retries)) return answer
    if (flags.verbose) output.note(`try ${attempt} of ${flags.retries}: ${answer.status}`)
    await sleep(PAUSE_MS)
  }
}

async function ask(page: HealthPage, timeoutMs: number): Promise<Answer> {
  const { url } = page
  try {
    const { status, text } = await read(page, AbortSignal.timeout(timeoutMs))
    const body = parsed(text)
    const word = (body as { readonly status?: unknown } | null)?.status
    return { healthy: status === HTTP_OK, status: typeof word === 'string' ? word : `HTTP ${status}`, url, body }
  } catch (error) {
    const late = error instanceof Error && (error.name === 'TimeoutError' || error.name === 'AbortError')
    return { healthy: false, status: late ? `no answer within ${timeoutMs} ms` : 'nothing answers', url }
  }
}

/** `fetch` cannot be told whom to trust. */
async function read({ url, trust }: HealthPage, signal: AbortSignal): Promise<{ status: number; text: string }> {
  if (!trust) {
    const response = await fetch(url, { signal })
    return { status: response.status, text: await response.text() }
  }
  const asked = request(url, { ...trust, signal, agent: false }).end()
  const [response] = (await once(asked, 'response', { signal })) as [IncomingMessage]
  let text = ''
  for await (const part of response) text += String(part)
  return { status: response.statusCode ?? 0, text }
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
