/**
 * Words that concern a node as a whole, heard wherever it listens already.
 */
import type { ControlChannel, ControlMessage } from '../cluster/cluster.js'

type Word<Type extends ControlMessage['type']> = Extract<ControlMessage, { readonly type: Type }>

export interface NodeWords {
  /** An operator wants this node to give everything away and to end. */
  drain(): void
  /** The leader asks this worker to let sessions at rest leave Redis. */
  hibernate(word: Word<'hibernate'>, answer: ControlChannel['send']): void
  /** A worker has done so. */
  hibernated(word: Word<'hibernated'>): void
}

/** The same channel, with these words taken out. */
export function heeding(control: ControlChannel, words: NodeWords): ControlChannel {
  const send: ControlChannel['send'] = (to, message) => control.send(to, message)
  const heed = (handler: (message: ControlMessage) => void) => (message: ControlMessage) => {
    if (message.type === 'drain') words.drain()
    else if (message.type === 'hibernate') words.hibernate(message, send)
    else if (message.type === 'hibernated') words.hibernated(message)
    else handler(message)
  }
  return { send, receive: (handler) => control.receive(heed(handler)) }
}
