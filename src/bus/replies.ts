/**
 * Reading the replies of the bus scripts: each starts with a word.
 */
import type { ScriptReply } from '../redis/script.js'
import type { Refused, StoredEvent } from './bus.js'

export const word = (reply: ScriptReply): string => String(reply[0])

/** A refusal by epoch, or undefined when the reply is another word. */
export function refusal(reply: ScriptReply): Refused | undefined {
  const status = word(reply)
  if (status !== 'fenced' && status !== 'rollback') return undefined
  return { status, epoch: Number(reply[1]) }
}

/** `[id, ['d', json]]` as XRANGE returns entries of a session log. */
export function storedEvents(entries: readonly unknown[]): StoredEvent[] {
  return entries.map((entry) => {
    const [eventId, fields] = entry as [string, string[]]
    return { eventId, body: fields[1] ?? '' }
  })
}
