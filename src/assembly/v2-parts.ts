/**
 * What only the second protocol reads and changes: memory, what swarms have agreed on, and the settings of this node.
 */
import type { SettingsSource, V2Sources } from '../edge/v2/sources.js'
import type { Memory } from '../memory/memory.js'
import { parseSwarm } from '../runtimes/swarm/swarm-state.js'
import type { Database } from '../storage/database.js'
import { unlessAway } from '../storage/outage.js'
import { SessionActivity } from '../storage/session-activity.js'
import { Swarms } from '../storage/swarms.js'

export interface V2Fitting {
  readonly database: Database
  readonly memory: Memory
  readonly settings: SettingsSource
}

export function v2Sources({ database, memory, settings }: V2Fitting): V2Sources {
  const swarms = new Swarms(database)
  const activity = new SessionActivity(database)
  return {
    memory: {
      search: (holder, question) => search(memory, holder, question),
      store: ({ tenant, owner }, { sessionId, orchestratorId, ...note }) =>
        memory.store({ tenant, owner, sessionId, orchestratorId }, note),
      forget: (holder, id) => memory.forget(holder, { id }),
    },
    swarm: async (sessionId) => parseSwarm(await unlessAway(swarms.load(sessionId))),
    settings,
    activity: {
      recent: (...asked) => activity.recent(...asked),
      lastBefore: (...asked) => activity.lastBefore(...asked),
    },
  }
}

type Search = V2Sources['memory']['search']

async function search(memory: Memory, ...[holder, question]: Parameters<Search>): ReturnType<Search> {
  const found = await memory.search(holder, question)
  return found.map(({ key = null, sessionId = null, validTo = null, ...item }) => {
    return { ...item, key, sessionId, validTo }
  })
}
