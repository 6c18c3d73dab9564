/**
 * Reading the replies of the bus scripts: each starts with a word.
 */
import type { SessionId } from '../protocol/ids.js'
import type { ScriptReply } from '../redis/script.js'
import type { ItemReply } from '../redis/script-batch.js'
import {
  type Claimed,
  type ColdSession,
  type Fenced,
  type Pin,
  type Refused,
  type StoredEvent,
  StoreRefusal,
} from './bus.js'

const MS_PER_SECOND = 1_000

export const word = (reply: ScriptReply): string => String(reply[0])

/** The words of a reply to one of several items, as `ScriptBatch` hands it out. */
export const words = (reply: ItemReply): readonly string[] => reply[0].split(' ')

/** A refusal by epoch, or undefined when the reply is another word. */
export function refusal(reply: ScriptReply): Refused | undefined {
  const status = word(reply)
  if (status !== 'fenced' && status !== 'rollback') return undefined
  return { status, epoch: Number(reply[1]) }
}

export const refused = (words: string): StoreRefusal => new StoreRefusal(words)

/** A detail that is not there stands as `-` in a line of words. */
export const detailOf = (text: string): string => (text === '-' ? '' : text)

/** `[id, ['d', json]]` as XRANGE returns entries of a session log. */
export function storedEvents(entries: readonly unknown[]): StoredEvent[] {
  return entries.map((entry) => {
    const [eventId, fields] = entry as [string, string[]]
    return { eventId, body: fields[1] ?? '' }
  })
}

/** `session, "node epoch", …` as the hash of a shard's pins holds it. */
export function pinsOf(fields: readonly string[]): Pin[] {
  const pins: Pin[] = []
  for (let at = 0; at < fields.length; at += 2) {
    const [node = '', epoch] = (fields[at + 1] ?? '').split(' ')
    pins.push({ sessionId: fields[at] ?? '', node, epoch: Number(epoch) })
  }
  return pins
}

/** What `claim.lua` says of a shard. */
export function claimed(reply: ScriptReply): Claimed | Fenced {
  if (word(reply) === 'fenced') return { status: 'fenced', epoch: Number(reply[1]) }
  return {
    status: 'ok',
    active: reply[1] as SessionId[],
    unprojected: reply[2] as SessionId[],
    pins: pinsOf(reply[3] as string[]),
    cold: coldSessions(reply[4] as string[]),
    cursor: String(reply[5]),
    storeChanged: reply[6] === '1',
  }
}

function coldSessions(pairs: readonly string[]): ColdSession[] {
  const cold: ColdSession[] = []
  for (let at = 0; at < pairs.length; at += 2) {
    cold.push({ sessionId: pairs[at] ?? '', waitedMs: Number(pairs[at + 1]) * MS_PER_SECOND })
  }
  return cold
}
