/**
 * A process for `journal-crash.test.ts` to kill: works on a few sessions over a journaled bus without end, and prints
 * each answer once it has it. Argument: the directory of a migrated database.
 */
import { writeSync } from 'node:fs'
import type { Change } from '../../../src/bus/bus.js'
import { createMemoryBus } from '../../../src/bus/memory-bus.js'
import { openDatabase } from '../../../src/storage/database.js'
import { StandaloneBus } from '../../../src/storage/standalone-bus.js'
import { seqOf, submission, TestOwner } from '../../support/bus-actors.js'

/** What the process was told: everything in here must be found after its death. */
export type Answer =
  | { readonly kind: 'accepted'; readonly sessionId: string; readonly commandId: string; readonly body: string }
  | { readonly kind: 'committed'; readonly change: Change; readonly epoch: number }
  | { readonly kind: 'flushed'; readonly sessionId: string; readonly messageId: string; readonly text: string }
  | { readonly kind: 'trimmed'; readonly sessionId: string; readonly seq: number }

const SHARD = 6
const SESSIONS = 4
const FLUSHES = 3
const OUTBOX = 'edge@1-1'

// Synchronous: what was printed has left the process before anything else happens.
const tell = (answer: Answer): void => void writeSync(1, `${JSON.stringify(answer)}\n`)

async function work(owner: TestOwner): Promise<never> {
  const sessionId = await owner.spawn(OUTBOX)
  let seq = 0
  for (let round = 1; ; round++) {
    const command = submission(sessionId, OUTBOX)
    const { commandId, body } = command
    await owner.acceptances(command)
    tell({ kind: 'accepted', sessionId, commandId, body })
    const messageId = `msg_${round}`
    let text = ''
    for (let flush = 0; flush < FLUSHES; flush++) {
      await owner.flush(sessionId, messageId, Buffer.byteLength(text), `é${flush} `, seq)
      text += `é${flush} `
      tell({ kind: 'flushed', sessionId, messageId, text })
    }
    const ended = [{ commandId, eventId: `1-${seq + 1}` }]
    // The first command, the spawn, waits for ever; so the inbox is never empty and keeps the order visible.
    const change = owner.change(sessionId, seq, 2, { popInbox: 1, ended, clearPart: round % 2 === 0 })
    await owner.commit(change)
    seq = seqOf(`1-${seq + 2}`)
    tell({ kind: 'committed', change, epoch: 1 })
    await owner.trim(sessionId, seq - 1, 3)
    tell({ kind: 'trimmed', sessionId, seq: seq - 1 })
  }
}

const database = await openDatabase({ kind: 'pglite', directory: process.argv[2] })
const owner = await TestOwner.claim(await createMemoryBus({ journal: new StandaloneBus(database) }), SHARD)
await Promise.all(Array.from({ length: SESSIONS }, () => work(owner)))
