/**
 * What happened, summed up by a model before it is forgotten: a summary and the facts in it become knowledge, which stays
 * for good, and each names the entries that it was made of.
 *
 *   episodic ── all but the newest, oldest first ──▶ model ──▶ semantic: a summary, facts ── sources ──▶ the entries
 */
import type { Holder, Memory, Note } from '../memory/memory.js'
import { type Model, ModelError, type ModelMessage } from '../models/model.js'
import { userFailure } from '../models/user-failure.js'
import { foundFacts, SUMMARY_PROMPT, transcriptOf } from '../runtimes/compaction-prompt.js'
import { ITEM_REF } from '../storage/memory-identity.js'
import type { MemoryRow } from '../storage/memory-item.js'
import type { MemoryItems } from '../storage/memory-items.js'
import { hashOf } from '../storage/memory-text.js'

/** The last of what happened stands for itself: as many as a search returns when nothing else is said. */
const KEPT_ENTRIES = 20
/** Fewer than this are not worth a call. */
const LEAST_ENTRIES = 20
/** Entries of one summary: more, and it says little of each. */
const BATCH_ENTRIES = 200
/** Some 20,000 tokens, which every current model takes. */
const BATCH_CHARS = 60_000
/** Of one run; the next one goes on. */
const MAX_BATCHES = 50
/** About 1,500 words. */
const MAX_SUMMARY_TOKENS = 2_048
const CALL_TIMEOUT_MS = 120_000

export interface SummaryParts {
  readonly items: MemoryItems
  readonly memory: Memory
  readonly model: Model
  /** For how long the entries of a summary can be looked up. */
  readonly keptMs: number
  readonly signal: AbortSignal
}

/** Returns the ids of the summaries that were made. @throws ServiceError `model_*` when the vendor fails */
export async function sumUp(holder: Holder, parts: SummaryParts): Promise<readonly string[]> {
  const made: string[] = []
  for (let batches = 0; batches < MAX_BATCHES; batches++) {
    const entries = await parts.items.notSummedUp(holder, KEPT_ENTRIES, BATCH_ENTRIES)
    if (entries.length < LEAST_ENTRIES) break
    made.push(await sumUpBatch(holder, fitting(entries), parts))
  }
  return made
}

/** The first of them, as many as a model reads in one piece. */
function fitting(entries: readonly MemoryRow[]): readonly MemoryRow[] {
  let chars = 0
  const end = entries.findIndex(({ content }) => {
    chars += content.length
    return chars > BATCH_CHARS
  })
  return end < 0 ? entries : entries.slice(0, Math.max(end, 1))
}

/** A crash on the way repeats the call; what it would make anew takes the place of what it made before. */
async function sumUpBatch(holder: Holder, entries: readonly MemoryRow[], parts: SummaryParts): Promise<string> {
  const { items, memory, keptMs } = parts
  const ids = entries.map(({ id }) => id)
  const { summary, facts } = foundFacts(await written(entries, parts))
  if (summary === '') throw new Error(`${parts.model.name} gave no summary`)
  const about: Note = {
    content: summary,
    ...{ tier: 'semantic', kind: 'knowledge', identity: hashOf('summary', ...ids), tags: ['summary'] },
    metadata: { entries: ids.length, from: entries[0]?.validFrom, to: entries.at(-1)?.validFrom },
    ...from(entries),
  }
  const learnt = facts.map(({ content, key, sources }): Note => {
    const named = sources.flatMap((number) => entries[number] ?? [])
    return { content, key, tier: 'semantic', kind: 'knowledge', ...from(named.length > 0 ? named : entries.slice(-1)) }
  })
  // Before anything says that they are summed up.
  await items.keepFor(holder, ids, keptMs)
  const [kept] = await memory.storeAll(holder, [about, ...learnt])
  if (!kept) throw new Error('a summary was neither kept nor refused')
  return kept.id
}

/** Known since the last of them. */
const from = (entries: readonly MemoryRow[]): Pick<Note, 'validFrom' | 'sources'> => ({
  validFrom: entries.map(({ validFrom }) => validFrom).reduce((a, b) => (a > b ? a : b)),
  sources: entries.map(({ id, sessionId }) => ({ sessionId: sessionId ?? '', ref: `${ITEM_REF}${id}` })),
})

async function written(entries: readonly MemoryRow[], { model, signal }: SummaryParts): Promise<string> {
  let text = ''
  try {
    const request = {
      ...{ system: SUMMARY_PROMPT, tools: [], maxTokens: MAX_SUMMARY_TOKENS },
      messages: [{ role: 'user' as const, text: transcriptOf(entries.map(messageOf), 2 * BATCH_CHARS) }],
      signal: AbortSignal.any([signal, AbortSignal.timeout(CALL_TIMEOUT_MS)]),
      beforeAttempt: () => signal.throwIfAborted(),
    }
    for await (const chunk of model.stream(request)) if (chunk.type === 'text') text += chunk.text
  } catch (thrown) {
    throw thrown instanceof ModelError ? userFailure(thrown, model.provider) : thrown
  }
  return text
}

/** Who said it, where that is known, and when. */
function messageOf({ id, kind, content, metadata, validFrom }: MemoryRow): ModelMessage {
  const text = `(${validFrom.toISOString().slice(0, 10)}) ${content}`
  if (kind === 'observation') return { role: 'tool', callId: id, text, isError: false }
  return { role: metadata.role === 'assistant' ? 'assistant' : 'user', text }
}
