/**
 * The operator's word that a node shall give everything away and end, heard wherever the node listens already.
 */
import type { ControlChannel, ControlMessage } from '../cluster/cluster.js'

/** The same channel, with `onDrain` called when the word comes; nobody else sees it. */
export function heedingDrain(control: ControlChannel, onDrain: () => void): ControlChannel {
  const heed = (handler: (message: ControlMessage) => void) => (message: ControlMessage) => {
    if (message.type === 'drain') onDrain()
    else handler(message)
  }
  return {
    send: (to, message) => control.send(to, message),
    receive: (handler) => control.receive(heed(handler)),
  }
}
