/**
 * PostgreSQL is away for a while: it crashes, or it stands still with all its connections, so that nobody is told.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { RunningPostgres } from '../servers/postgres-server.js'
import type { Fault, Stage } from './fault.js'

const MIN_AWAY_MS = 2_000
const MAX_AWAY_MS = 20_000

export const postgresStop: Fault = {
  test: 'T8b',
  title: 'PostgreSQL crashed and away',
  needs: { ownPostgres: true },
  weight: 1,
  async run(stage) {
    const postgres = ours(stage)
    const mark = await stage.begin({ kind: 'postgres-outage' })
    await postgres.kill('SIGQUIT')
    await sleep(awayMs(stage))
    await postgres.restart()
    mark.healed()
  },
}

export const postgresFreeze: Fault = {
  test: 'T8b',
  title: 'SIGSTOP PostgreSQL, then SIGCONT',
  needs: { ownPostgres: true },
  weight: 1,
  async run(stage) {
    const postgres = ours(stage)
    const mark = await stage.begin({ kind: 'postgres-outage', variant: 'frozen' })
    await postgres.freeze()
    await sleep(awayMs(stage))
    await postgres.thaw()
    mark.healed()
  },
}

function ours({ stores }: Stage): RunningPostgres {
  if (!stores.postgres) throw new Error('this PostgreSQL was given by --database-url and is not ours to harm')
  return stores.postgres
}

/** The first time as long as the user asks for, which may be minutes; shorter then, so that other faults have their turn. */
const awayMs = ({ random, earlier, postgresAwayMs }: Stage): number =>
  earlier === 0 && postgresAwayMs !== undefined ? postgresAwayMs : random(MIN_AWAY_MS, MAX_AWAY_MS)
