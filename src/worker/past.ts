/**
 * What was said and done in a session before its present turn, for a runtime that keeps its conversations itself and has lost
 * one: the worker remembers no more of such a session than the task at hand.
 */
import type { ModelMessage } from '../models/model.js'
import { throughOutage } from '../storage/outage.js'
import { Conversation } from './conversation.js'
import type { SessionServices } from './session-services.js'

/** As far back as what a model can be told. `turn` is the number of the present one. @throws ServiceError `unavailable` */
export async function pastOf(
  sessionId: string,
  turn: number,
  { readHistory }: Pick<SessionServices, 'readHistory'>,
  signal: AbortSignal,
): Promise<readonly ModelMessage[]> {
  if (turn <= 1) return []
  const events = await throughOutage(() => readHistory(sessionId, 'context', signal), { signal })
  const conversation = new Conversation(() => 'context')
  for (const event of events) {
    if (event.type === 'task_executing' && event.turn === turn) break
    conversation.apply(event)
  }
  return conversation.progress(undefined).messages
}
