/**
 * Where Claude Code's record of a conversation is kept while no process has it: behind the SDK's session store, under the
 * owner's epoch.
 */
import { createHash } from 'node:crypto'
import type { SessionKey, SessionStore, SessionStoreEntry } from '@anthropic-ai/claude-agent-sdk'
import { ServiceError } from '../../protocol/errors.js'
import { throughOutage } from '../../storage/outage.js'

/** The part of storage that holds transcripts; see storage/transcripts.ts. */
export interface Transcripts {
  claim(sessionId: string, epoch: number): Promise<boolean>
  append(
    sessionId: string,
    epoch: number,
    path: string,
    entries: readonly { readonly uuid: string | undefined; readonly body: string }[],
  ): Promise<'ok' | 'fenced' | 'full'>
  clear(sessionId: string, epoch: number): Promise<boolean>
  load(sessionId: string, path: string): Promise<readonly string[]>
  paths(sessionId: string): Promise<readonly string[]>
}

const TAKEN_OVER = 'another worker has taken the session over'
/** Shorter than the SDK's own 60 s, after which it no longer says why. */
const APPEND_PATIENCE_MS = 50_000

/** Under which Claude Code knows our session: always the same, so nobody has to remember it. */
export function claudeSessionId(sessionId: string): string {
  const hex = createHash('sha256').update(sessionId).digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

export interface OwnedTranscript {
  readonly store: SessionStore
  /** Whether there is a conversation to go on with. */
  readonly isBegun: boolean
  /** Why what is there cannot be gone on with, where that shows before anybody tries. */
  readonly broken: string | undefined
}

type Owner = { readonly sessionId: string; readonly epoch: number; readonly signal: AbortSignal }

/**
 * Takes the transcript of a session up: what a former owner's process still writes is refused from here on. `anew` begins
 * another conversation: what is there gives way to its first entry.
 * @throws ServiceError `unavailable`
 */
export async function ownTranscript(
  transcripts: Transcripts,
  { sessionId, epoch, signal }: Owner,
  anew: boolean,
): Promise<OwnedTranscript> {
  const isOurs = await throughOutage(() => transcripts.claim(sessionId, epoch), { signal })
  if (!isOurs) throw new ServiceError('unavailable', { reason: TAKEN_OVER })
  const first = anew ? [] : await throughOutage(() => transcripts.load(sessionId, ''), { signal })
  const unreadable = first.filter((body) => entryIn(body) === undefined).length
  const broken =
    unreadable === 0 ? undefined : `${unreadable} of the ${first.length} entries that it had kept cannot be read`
  const store = new TranscriptStore(transcripts, { sessionId, epoch, signal }, anew ? undefined : first)
  return { store, isBegun: first.length > 0, broken }
}

class TranscriptStore implements SessionStore {
  readonly #transcripts: Transcripts
  readonly #owner: Owner
  /** What the conversation holds: the SDK asks for it once, at the start. */
  #atStart: readonly string[] | undefined
  /** There is an older conversation, which nobody is to see. */
  #isAnew: boolean
  #clearing: Promise<void> | undefined

  /** `first` is undefined for a conversation that begins anew. */
  constructor(transcripts: Transcripts, owner: Owner, first: readonly string[] | undefined) {
    this.#transcripts = transcripts
    this.#owner = owner
    this.#atStart = first
    this.#isAnew = first === undefined
  }

  // The key's project is the path of the working directory, which differs where workers have roots of their own.
  async append({ subpath }: SessionKey, entries: SessionStoreEntry[]): Promise<void> {
    const { sessionId, epoch } = this.#owner
    const rows = entries.map((entry) => ({ uuid: entry.uuid, body: JSON.stringify(entry) }))
    const append = () => this.#transcripts.append(sessionId, epoch, subpath ?? '', rows)
    await this.#giveWay()
    const outcome = await throughOutage(append, { patienceMs: APPEND_PATIENCE_MS })
    if (outcome === 'full')
      throw new Error('the conversation has grown beyond what is kept of one; spawn a new session')
    if (outcome === 'fenced') throw new Error(TAKEN_OVER)
  }

  /** Only when the new conversation has really begun: until then the old one is all that there is. */
  async #giveWay(): Promise<void> {
    if (!this.#isAnew) return
    // Once: what is written meanwhile belongs to the new conversation.
    this.#clearing ??= this.#clear().finally(() => (this.#clearing = undefined))
    await this.#clearing
  }

  async #clear(): Promise<void> {
    const { sessionId, epoch } = this.#owner
    const clear = () => this.#transcripts.clear(sessionId, epoch)
    if (!(await throughOutage(clear, { patienceMs: APPEND_PATIENCE_MS }))) throw new Error(TAKEN_OVER)
    this.#isAnew = false
  }

  async load({ subpath }: SessionKey): Promise<SessionStoreEntry[] | null> {
    if (this.#isAnew) return null
    const bodies = await this.#bodies(subpath ?? '')
    // Of an agent's: what cannot be read of it is missing to that agent alone.
    const entries = bodies.flatMap((body) => entryIn(body) ?? [])
    return entries.length === 0 ? null : entries
  }

  async #bodies(path: string): Promise<readonly string[]> {
    const known = path === '' ? this.#atStart : undefined
    if (path === '') this.#atStart = undefined
    return known ?? (await throughOutage(() => this.#transcripts.load(this.#owner.sessionId, path)))
  }

  async listSubkeys(): Promise<string[]> {
    return this.#isAnew ? [] : [...(await throughOutage(() => this.#transcripts.paths(this.#owner.sessionId)))]
  }
}

/** Undefined for what is no entry. */
function entryIn(body: string): SessionStoreEntry | undefined {
  try {
    const value: unknown = JSON.parse(body)
    const isEntry = typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string'
    return isEntry ? (value as SessionStoreEntry) : undefined
  } catch {
    return undefined
  }
}
