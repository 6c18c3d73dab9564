/**
 * A process that tries to lock a directory whenever it is told to, and says how it went. Ends with its parent.
 */
import { type DirectoryLock, lockDirectory } from '../../../../src/storage/directory-lock.js'

export type Order = { readonly lock: string } | 'release'
export type Outcome = 'locked' | 'released' | { readonly refused: string }

let held: DirectoryLock | undefined

function carryOut(order: Order): Outcome {
  if (order === 'release') {
    held?.release()
    return 'released'
  }
  try {
    held = lockDirectory(order.lock)
    return 'locked'
  } catch (error) {
    return { refused: String(error) }
  }
}

process.on('message', (order: Order) => process.send?.(carryOut(order)))
process.on('disconnect', () => process.exit())
process.send?.('released')
