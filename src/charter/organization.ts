/**
 * The charter of an organisation: fetched from time to time, kept for when its server is away, and put above the one of this
 * node.
 *
 *   cache ─▶ adopt ─▶ fetch ─▶ cache, adopt ─▶ fetch … every interval
 */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { mergeCharters } from './change.js'
import { parseCharter } from './load.js'
import type { Charter } from './schema.js'

/** A server that hangs must not keep the node from starting for longer. */
const FETCH_TIMEOUT_MS = 5_000
const MAX_BODY_BYTES = 1024 * 1024
/** Becomes the name of a file and a part of a URL. */
const ORGANIZATION = /^[A-Za-z0-9_-]{1,128}$/

export interface CharterSyncOptions {
  readonly organizationId: string
  /** Of the server, such as `http://localhost:3000`. */
  readonly baseUrl: string
  readonly apiKey: string | undefined
  readonly intervalMs: number
  readonly cacheDirectory: string
  /** The charter of this node; see `adoptLocal`. */
  readonly local: Charter
  /** `charter:updated`: from now on this charter counts, both in one. Not told when nothing has changed. */
  readonly onUpdated: (charter: Charter, from: 'server' | 'cache' | 'node') => void
  readonly log: { info(fields: object, text: string): void; warn(fields: object, text: string): void }
}

export class CharterSync {
  readonly #options: CharterSyncOptions
  #timer: NodeJS.Timeout | undefined
  #adopted: string | undefined
  #organization: Charter | undefined
  #local: Charter
  #running: Promise<void> | undefined
  readonly #ending = new AbortController()

  constructor(options: CharterSyncOptions) {
    if (!ORGANIZATION.test(options.organizationId)) throw new Error('an organisation id is letters, digits, _ and -')
    this.#options = options
    this.#local = options.local
  }

  /** Resolves when the newest charter that can be had counts. Never rejects: without any, the one of this node does. */
  async start(): Promise<void> {
    const cached = await readFile(this.#file, 'utf8').catch(() => undefined)
    if (cached !== undefined) this.#adopt(cached, 'cache')
    await this.sync()
    this.#timer = setInterval(() => void this.sync(), this.#options.intervalMs)
    this.#timer.unref()
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer)
    this.#ending.abort()
    await this.#running
  }

  /** Fetches now. Never rejects; calls at one time are one. */
  async sync(): Promise<void> {
    this.#running ??= this.#fetchAndAdopt().finally(() => {
      this.#running = undefined
    })
    await this.#running
  }

  /** From now on this is the charter of this node. */
  adoptLocal(local: Charter): void {
    this.#local = local
    this.#options.onUpdated(this.#organization ? above(this.#organization, local) : local, 'node')
  }

  get #file(): string {
    return fileOf(this.#options)
  }

  async #fetchAndAdopt(): Promise<void> {
    const { log, organizationId } = this.#options
    try {
      const text = await this.#fetch()
      // One that is wrong must not replace what is kept.
      if (this.#adopt(text, 'server')) await this.#keep(text)
    } catch (error) {
      if (this.#ending.signal.aborted) return
      log.warn(
        { err: error, organizationId },
        'the charter of the organisation could not be fetched; the last one counts',
      )
    }
  }

  async #fetch(): Promise<string> {
    const { baseUrl, organizationId, apiKey } = this.#options
    const url = new URL(`/api/organizations/${organizationId}/charter`, baseUrl)
    const response = await fetch(url, {
      headers: { accept: 'application/json', ...(apiKey !== undefined && { authorization: `Bearer ${apiKey}` }) },
      signal: AbortSignal.any([this.#ending.signal, AbortSignal.timeout(FETCH_TIMEOUT_MS)]),
    })
    if (!response.ok) throw new Error(`the server answered ${response.status}`)
    const length = Number(response.headers.get('content-length') ?? 0)
    if (length > MAX_BODY_BYTES) throw new Error(`the charter has ${length} bytes`)
    return await response.text()
  }

  /** False when it is no charter. */
  #adopt(text: string, from: 'server' | 'cache'): boolean {
    const { onUpdated, log, organizationId } = this.#options
    if (text === this.#adopted) return true
    try {
      const { charter, notes } = parseCharter(unwrapped(text), `charter of ${organizationId}`)
      for (const note of notes) log.warn({ organizationId }, note)
      this.#adopted = text
      this.#organization = charter
      onUpdated(above(charter, this.#local), from)
      log.info({ organizationId, version: charter.version, from }, 'the charter of the organisation counts')
      return true
    } catch (error) {
      log.warn(
        { err: error, organizationId, from },
        'the charter of the organisation is not valid; the last one counts',
      )
      return false
    }
  }

  async #keep(text: string): Promise<void> {
    const { cacheDirectory } = this.#options
    await mkdir(cacheDirectory, { recursive: true })
    const half = `${this.#file}.${process.pid}`
    await writeFile(half, text, { mode: 0o600 })
    await rename(half, this.#file)
  }
}

type Kept = Pick<CharterSyncOptions, 'cacheDirectory' | 'organizationId'>

const fileOf = ({ cacheDirectory, organizationId }: Kept): string => join(cacheDirectory, `${organizationId}.json`)

/** The charter of this node under the one that was kept last, before anybody is asked. */
export async function underKept(kept: Kept, local: Charter): Promise<Charter> {
  try {
    return above(parseCharter(unwrapped(await readFile(fileOf(kept), 'utf8')), 'kept charter').charter, local)
  } catch {
    return local // There is none yet, or none that can be used; whoever fetches it says so.
  }
}

/** Both at once. An organisation that approves nothing by itself has not said that nobody may. */
function above(organization: Charter, local: Charter): Charter {
  if (!organization.isActive) return local
  const { safetyHeuristics: lists } = organization
  const autoApprove = lists.autoApprove.length > 0 ? lists.autoApprove : local.safetyHeuristics.autoApprove
  return mergeCharters({ ...organization, safetyHeuristics: { ...lists, autoApprove } }, local)
}

/** The charter itself, or in a field of that name. */
function unwrapped(text: string): string {
  const value: unknown = JSON.parse(text)
  const inner = typeof value === 'object' && value !== null && 'charter' in value ? value.charter : undefined
  return typeof inner === 'object' && inner !== null ? JSON.stringify(inner) : text
}
