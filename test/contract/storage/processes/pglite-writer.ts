/**
 * A process that writes rows into a PGlite directory, one after another, and names each one that is acknowledged.
 */
import { openDatabase } from '../../../../src/storage/database.js'
import { DeadLetters } from '../../../../src/storage/dead-letters.js'
import { migrate } from '../../../../src/storage/migrate.js'

const database = await openDatabase({ kind: 'pglite', directory: process.argv[2] })
await migrate(database)
const letters = new DeadLetters(database)
for (let n = 0; ; n++) {
  const id = `${process.pid}-${n}`
  await letters.record({ id, sessionId: 's', tenant: 't', command: '{}', attempts: 1, reason: 'x'.repeat(2_000) })
  process.send?.(id)
}
