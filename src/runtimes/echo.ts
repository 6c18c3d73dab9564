/**
 * A load tool: sessions of type `echo` answer without a model, with as many events as the task asks for. They exercise
 * everything but the vendor: acceptance, order, streaming, takeover.
 *
 * A task sets `{count, bytes, delayMs}` in `metadata.echo` or as its description in JSON:
 * - nothing set: the description comes back as the result;
 * - `bytes`: the result has that many bytes;
 * - `count` > 1 or `delayMs` > 0: a message is streamed in `count` chunks of `bytes`, one every `delayMs`. Its text is
 *   the same on every run, so another worker continues it exactly.
 */
import { setImmediate as nextTick } from 'node:timers/promises'
import { z } from 'zod'
import { pause } from '../models/backoff.js'
import { ServiceError } from '../protocol/errors.js'
import type { Task } from '../protocol/session.js'
import type { Runtime, TaskResult, Turn } from './runtime.js'

const MAX_COUNT = 100_000
const MAX_CHUNK_BYTES = 65_536
const MAX_DELAY_MS = 60_000
/** A message is kept whole in memory and in one event. */
const MAX_MESSAGE_BYTES = 8 * 1024 * 1024
/** Chunks without a delay are sent in bursts, so that one session does not hold the process. */
const BURST = 64

const settingsSchema = z.object({
  count: z.number().int().min(1).max(MAX_COUNT).default(1),
  bytes: z.number().int().min(1).max(MAX_CHUNK_BYTES).optional(),
  delayMs: z.number().int().min(0).max(MAX_DELAY_MS).default(0),
})

interface Plan {
  readonly count: number
  readonly delayMs: number
  /** Text of chunk `index`, from 0; the same whenever it is asked for. */
  chunk(index: number): string
}

export class Echo implements Runtime {
  /** @throws ServiceError `invalid_payload` when the settings are out of bounds. */
  async run(turn: Turn): Promise<TaskResult> {
    const plan = planOf(turn.task)
    if (plan.count === 1 && plan.delayMs === 0) return { output: plan.chunk(0) }
    return stream(turn, plan)
  }
}

function planOf(task: Task): Plan {
  const wanted = task.metadata?.echo ?? settingsIn(task.description)
  if (wanted === undefined) return { count: 1, delayMs: 0, chunk: () => task.description }
  const parsed = settingsSchema.safeParse(wanted)
  if (!parsed.success) throw refused(parsed.error.issues.map((issue) => `${issue.path.join('.')}: ${issue.message}`))
  const { count, bytes, delayMs } = parsed.data
  const size = bytes ?? Buffer.byteLength(task.description)
  if (count * size > MAX_MESSAGE_BYTES) throw refused([`count × bytes is above ${MAX_MESSAGE_BYTES}`])
  return { count, delayMs, chunk: bytes === undefined ? () => task.description : (index) => filled(index, bytes) }
}

const refused = (reasons: readonly string[]): ServiceError =>
  new ServiceError('invalid_payload', { reason: `echo: ${reasons.join('; ')}` })

/** Settings written as the description; any other text is only text. */
function settingsIn(description: string): unknown {
  if (!description.startsWith('{')) return undefined
  try {
    return JSON.parse(description)
  } catch {
    return undefined
  }
}

/** The chunk's number, filled with dots to `bytes` bytes and ended by a space. */
const filled = (index: number, bytes: number): string =>
  `${index + 1}`
    .padEnd(bytes - 1, '.')
    .slice(0, bytes - 1)
    .concat(' ')

async function stream(turn: Turn, plan: Plan): Promise<TaskResult> {
  const { openMessage, steps } = turn.progress
  const output = `echoed ${plan.count} chunks`
  if (openMessage === undefined && steps > 0) return { output }
  if (openMessage === undefined) await turn.journal.messageStarted('echo')
  turn.beforeEffect()
  await sendRest(turn, plan, openMessage?.text ?? '')
  const usage = { promptTokens: 0, completionTokens: 0 }
  await turn.journal.messageEnded({ toolCalls: [], finishReason: 'stop', usage, cost: 0 })
  return { output }
}

/** Sends what follows `shown`; a chunk of which a part was shown is sent from there on, at once. */
async function sendRest({ journal, signal }: Turn, plan: Plan, shown: string): Promise<void> {
  let known = shown.length
  for (let index = 0; index < plan.count; index++) {
    const chunk = plan.chunk(index)
    const rest = chunk.slice(Math.min(known, chunk.length))
    known = Math.max(0, known - chunk.length)
    if (rest === '') continue
    if (plan.delayMs > 0) await pause(plan.delayMs, signal)
    else if (index % BURST === 0) await nextTick()
    signal.throwIfAborted()
    journal.text(rest)
  }
}
