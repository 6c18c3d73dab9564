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
  load(sessionId: string, path: string): Promise<readonly string[]>
  paths(sessionId: string): Promise<readonly string[]>
}

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
}

/**
 * Takes the transcript of a session up: what a former owner's process still writes is refused from here on.
 * @throws ServiceError `unavailable`
 */
export async function ownTranscript(
  transcripts: Transcripts,
  { sessionId, epoch, signal }: { readonly sessionId: string; readonly epoch: number; readonly signal: AbortSignal },
): Promise<OwnedTranscript> {
  const isOurs = await throughOutage(() => transcripts.claim(sessionId, epoch), { signal })
  if (!isOurs) throw new ServiceError('unavailable', { reason: 'another worker has taken the session over' })
  const first = await throughOutage(() => transcripts.load(sessionId, ''), { signal })
  return { store: storeOf(transcripts, sessionId, epoch, first), isBegun: first.length > 0 }
}

/** `first` is what the conversation holds: the SDK asks for it once, at the start. */
function storeOf(transcripts: Transcripts, sessionId: string, epoch: number, first: readonly string[]): SessionStore {
  let atStart: readonly string[] | undefined = first
  const load = async (path: string): Promise<readonly string[]> => {
    const known = path === '' ? atStart : undefined
    if (path === '') atStart = undefined
    return known ?? (await throughOutage(() => transcripts.load(sessionId, path)))
  }
  return {
    // The key's project is the path of the working directory, which differs where workers have roots of their own.
    async append({ subpath }: SessionKey, entries: SessionStoreEntry[]) {
      const rows = entries.map((entry) => ({ uuid: entry.uuid, body: JSON.stringify(entry) }))
      const append = () => transcripts.append(sessionId, epoch, subpath ?? '', rows)
      const outcome = await throughOutage(append, { patienceMs: APPEND_PATIENCE_MS })
      if (outcome === 'full')
        throw new Error('the conversation has grown beyond what is kept of one; spawn a new session')
      if (outcome === 'fenced') throw new Error('another worker has taken the session over')
    },
    async load({ subpath }: SessionKey) {
      const bodies = await load(subpath ?? '')
      return bodies.length === 0 ? null : bodies.map((body) => JSON.parse(body) as SessionStoreEntry)
    },
    listSubkeys: async () => [...(await throughOutage(() => transcripts.paths(sessionId)))],
  }
}
