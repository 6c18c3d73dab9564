/**
 * Keeps a Postgres server to one process: for the mode in which a single process has no Redis and no peers.
 */
import { sql } from 'kysely'
import type { Database } from './database.js'

/** One number of our own in the database's space of advisory locks: "solo" in ASCII. */
const SOLO_LOCK = 0x736f6c6f

/**
 * Takes the lock on a connection of its own, so that it ends with this process at the latest. Returns how to free it.
 * The built-in database needs none: its directory is locked when it is opened.
 * @throws one sentence when another process holds it.
 */
export async function lockProcess(database: Database): Promise<() => Promise<void>> {
  if (database.kind === 'pglite') return async () => {}
  let free: () => void = () => {}
  const freed = new Promise<void>((resolve) => {
    free = resolve
  })
  let held: Promise<void> = Promise.resolve()
  await new Promise<void>((taken, refused) => {
    held = database.sql
      .connection()
      .execute(async (connection) => {
        const { rows } = await sql<{ taken: boolean }>`select pg_try_advisory_lock(${SOLO_LOCK}) as taken`.execute(
          connection,
        )
        if (!rows[0]?.taken) {
          throw new Error('another process runs alone on this database; stop it, or set REDIS_URL to run a cluster')
        }
        taken()
        await freed
        await sql`select pg_advisory_unlock(${SOLO_LOCK})`.execute(connection)
      })
      .catch(refused)
  })
  return async () => {
    free()
    await held
  }
}
