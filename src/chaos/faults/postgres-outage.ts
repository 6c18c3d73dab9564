/**
 * PostgreSQL crashes and is away for a while.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Fault } from './fault.js'

const MIN_AWAY_MS = 2_000
const MAX_AWAY_MS = 20_000

export const postgresOutage: Fault = {
  test: 'T8b',
  title: 'PostgreSQL away',
  needs: { ownPostgres: true },
  weight: 1,
  async run({ begin, stores, random }) {
    const { postgres } = stores
    if (!postgres) throw new Error('this PostgreSQL was given by --database-url and is not ours to harm')
    const mark = await begin({ kind: 'postgres-outage' })
    await postgres.kill('SIGQUIT')
    await sleep(random(MIN_AWAY_MS, MAX_AWAY_MS))
    await postgres.restart()
    mark.healed()
  },
}
