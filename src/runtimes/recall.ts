/**
 * What is remembered when a task begins: facts that share words with it, noted in the message of the task once, so that
 * every owner of the session and every later task sees the same.
 */
import type { ModelMessage } from '../models/model.js'
import type { AgentMemory, RecalledNote } from './agent-memory.js'
import { recalledTask, recalledText } from './prompt.js'
import type { Turn } from './runtime.js'

const MAX_NOTES = 6
const MAX_NOTE_CHARS = 600
const MAX_QUERY_CHARS = 2_000
/** Somebody waits for the answer; a task can be carried out without memories. */
const TIMEOUT_MS = 2_000

/** The turn of a runtime that takes its task from the conversation: what is remembered stands in the task's message. */
export async function rememberingTurn(turn: Turn, memory: Pick<AgentMemory, 'search'> | undefined): Promise<Turn> {
  if (!memory) return turn
  return { ...turn, progress: { ...turn.progress, messages: await withRecalled(turn, memory) } }
}

/** The conversation so far, with what is remembered for a task that begins. */
export async function withRecalled(turn: Turn, memory: Pick<AgentMemory, 'search'>): Promise<readonly ModelMessage[]> {
  const { messages, steps, openMessage, openCalls, recalled } = turn.progress
  const hasBegun = recalled || steps > 0 || openMessage !== undefined || openCalls.length > 0
  if (hasBegun) return messages
  const notes = await found(turn, memory)
  if (notes.length === 0) return messages
  const text = recalledText(notes.map((note) => ({ ...note, content: note.content.slice(0, MAX_NOTE_CHARS) })))
  await turn.journal.recalled(
    text,
    notes.map(({ id }) => id),
  )
  const task = messages.findLastIndex(({ role }) => role === 'user')
  return messages.map((message, index) =>
    index === task ? { ...message, text: recalledTask(message.text, text) } : message,
  )
}

/** Nothing where memory does not answer in time: it is a help, no condition. */
async function found(turn: Turn, memory: Pick<AgentMemory, 'search'>): Promise<readonly RecalledNote[]> {
  const query = turn.task.description.slice(0, MAX_QUERY_CHARS)
  const search = memory.search(turn, { query, tiers: ['semantic'], limit: MAX_NOTES })
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<readonly RecalledNote[]>((resolve) => {
    timer = setTimeout(() => resolve([]), TIMEOUT_MS)
  })
  try {
    return await Promise.race([search.catch(() => []), late])
  } finally {
    clearTimeout(timer)
  }
}
