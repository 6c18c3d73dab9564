/**
 * The end of a worker's right, or of its chance, to write a session.
 */
import type { Refused } from '../bus/bus.js'

/** The writer has lost the right or the place to write: nothing of this session may be done here any more. */
export class WriterLost extends Error {
  constructor(readonly reason: Refused['status'] | 'head' | 'gap' | 'corrupt' | 'unreachable' | 'closed') {
    super(`the session's log is lost to this worker: ${reason}`)
    this.name = 'WriterLost'
  }
}
