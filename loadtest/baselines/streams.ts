/**
 * What both ends of the bare Redis Streams share: one stream there, one back, and a loop that reads.
 */
import { Redis } from 'ioredis'

export const COMMANDS = 'bare:commands'
export const ANSWERS = 'bare:answers'

/** As the service reads at most. */
const BATCH_ENTRIES = 500
const BLOCK_MS = 5_000
/** Enough for what is under way; older entries go, unread or not: nothing is promised here. */
const MAX_ENTRIES = 100_000

export interface Entry {
  readonly from: string
  readonly body: string
}

/** Commands of one turn of the event loop leave together. */
export const openWriter = (url: string): Redis => new Redis(url, { enableAutoPipelining: true })

export const append = (redis: Redis, stream: string, { from, body }: Entry): Promise<string | null> =>
  redis.xadd(stream, 'MAXLEN', '~', MAX_ENTRIES, '*', 'f', from, 'b', body)

/** Reads what is appended from now on, for as long as the process lives. */
export async function readStream(url: string, stream: string, onEntry: (entry: Entry) => void): Promise<never> {
  const redis = new Redis(url)
  let cursor = await lastId(redis, stream)
  for (;;) {
    const reply = await redis.xread('COUNT', BATCH_ENTRIES, 'BLOCK', BLOCK_MS, 'STREAMS', stream, cursor)
    for (const [id, fields] of reply?.[0]?.[1] ?? []) {
      cursor = id
      onEntry({ from: fields[1] ?? '', body: fields[3] ?? '' })
    }
  }
}

async function lastId(redis: Redis, stream: string): Promise<string> {
  const [last] = await redis.xrevrange(stream, '+', '-', 'COUNT', 1)
  return last?.[0] ?? '0-0'
}
