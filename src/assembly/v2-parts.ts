/**
 * What only the second protocol reads and changes: memory, what swarms have agreed on, and the settings of this node.
 */
import { effectiveSettings } from '../config/describe.js'
import type { Config } from '../config/load.js'
import type { V2Sources } from '../edge/v2/sources.js'
import type { Memory } from '../memory/memory.js'
import { parseSwarm } from '../runtimes/swarm/swarm-state.js'
import type { Database } from '../storage/database.js'
import { unlessAway } from '../storage/outage.js'
import { Swarms } from '../storage/swarms.js'
import { isLogLevel, type LogLevelSwitch } from '../telemetry/log-level.js'

export interface V2Fitting {
  readonly config: Config
  readonly database: Database
  readonly memory: Memory
  /** Undefined where that is not for an operator to change. */
  readonly logLevel: LogLevelSwitch | undefined
}

const LOG_LEVEL = 'LOG_LEVEL'

export function v2Sources({ config, database, memory, logLevel }: V2Fitting): V2Sources {
  const swarms = new Swarms(database)
  return {
    memory: {
      search: (holder, question) => search(memory, holder, question),
      store: ({ tenant, owner }, { sessionId, orchestratorId, ...note }) =>
        memory.store({ tenant, owner, sessionId, orchestratorId }, note),
      forget: (holder, id) => memory.forget(holder, { id }),
    },
    swarm: async (sessionId) => parseSwarm(await unlessAway(swarms.load(sessionId))),
    settings: {
      read: () => settingsOf(config, logLevel),
      change: (name, value) => (name === LOG_LEVEL ? changeLevel(logLevel, value) : notWhileRunning(name)),
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

function settingsOf(config: Config, logLevel: LogLevelSwitch | undefined): ReadonlyMap<string, string | undefined> {
  const settings = new Map(effectiveSettings(config).map(({ name, value }) => [name, value]))
  if (logLevel) settings.set(LOG_LEVEL, logLevel.current)
  return settings
}

function changeLevel(logLevel: LogLevelSwitch | undefined, value: unknown): string | undefined {
  if (!logLevel) return 'the level of this log is its owner’s'
  if (!isLogLevel(value)) return 'is no level of the log'
  logLevel.set(value)
  return undefined
}

const notWhileRunning = (name: string): string =>
  `${name} is read when a node starts: set it in the environment or the file, and start the node anew`
