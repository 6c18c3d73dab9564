/**
 * Messages that answer what a task waits for a person with: what they say, and what is said to them.
 */
import type { NeolithAnswer } from '../storage/neolith-tasks.js'

/** With who says it, it fits into the comment of an approval. */
const MAX_REASON_CHARS = 400
const ANSWER = /^(approved?|reject(?:ed)?|deny|denied)(?![\p{L}\p{N}])[\s:,;.!-]*([\s\S]*)$/iu

/** What a message says, where it can be an answer at all. */
export function answerIn(text: string): Omit<NeolithAnswer, 'thread'> | undefined {
  const [, word, rest = ''] = ANSWER.exec(text.trim()) ?? []
  if (word === undefined) return undefined
  const reason = rest.trim().slice(0, MAX_REASON_CHARS)
  if (!/^approve/i.test(word)) return { decision: 'reject', reason }
  // Whoever says more than that may mean something else: nothing is allowed by a part of a sentence.
  return { decision: reason === '' ? 'approve' : 'unclear', reason }
}

/** What has become of an answer. */
export type Answered =
  | { readonly kind: 'done' | 'escalated' | 'closed'; readonly tool: string }
  | { readonly kind: 'nothing' | 'several' }

export const ELSEWHERE = 'Please say that in the thread of the task it is about.'
export const UNCLEAR = 'I am not sure what you mean: please say just `approve`, or `reject` and why.'
export const NOT_YOURS = 'Only whoever asked for this task can answer that.'

/** What is said about it in the thread. */
export function wordsAbout({ decision }: NeolithAnswer, answered: Answered): string {
  switch (answered.kind) {
    case 'done':
      return decision === 'approve' ? `Allowed: ${answered.tool}.` : `Not allowed: ${answered.tool}.`
    case 'escalated':
      return `${answered.tool} must be answered by an administrator of the service.`
    case 'closed':
      return `${answered.tool} is not waiting any more.`
    case 'nothing':
      return 'Nothing is waiting for an answer here.'
    case 'several':
      return 'More than one call is waiting, so I do not know which you mean: please answer them one by one in the service.'
  }
}
