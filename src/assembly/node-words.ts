/**
 * Words that concern a node as a whole, heard wherever it listens already.
 */
import type { ControlChannel, ControlMessage } from '../cluster/cluster.js'

type Word<Type extends ControlMessage['type']> = Extract<ControlMessage, { readonly type: Type }>

export interface NodeWords {
  /** An operator wants this node to give everything away and to end. */
  drain(): void
  /** The leader asks this worker to let sessions at rest leave Redis. */
  hibernate(word: Word<'hibernate'>): void
  /** A worker has done so. */
  hibernated(word: Word<'hibernated'>): void
}

/** The same channel, with these words taken out. */
export function heeding(control: ControlChannel, words: NodeWords): ControlChannel {
  const heed = (handler: (message: ControlMessage) => void) => (message: ControlMessage) => {
    if (message.type === 'drain') words.drain()
    else if (message.type === 'hibernate') words.hibernate(message)
    else if (message.type === 'hibernated') words.hibernated(message)
    else handler(message)
  }
  return {
    send: (to, message) => control.send(to, message),
    receive: (handler) => control.receive(heed(handler)),
  }
}
