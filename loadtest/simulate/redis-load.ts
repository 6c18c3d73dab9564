/**
 * What Redis has to hold and to do, from the measured cost of each thing.
 */
import type { Assumed } from './assumptions.js'

const SECONDS_PER_MINUTE = 60
const US_PER_SECOND = 1_000_000

export interface RedisLoad {
  readonly activeSessions: number
  readonly warmSessions: number
  readonly bytes: number
  readonly commandsPerSecond: number
  readonly flushesPerSecond: number
  /** Cores of all primaries together, by what they do. */
  readonly cores: Readonly<Record<'commands' | 'text' | 'nodes', number>>
  /** Primaries that are needed for this. */
  readonly primaries: number
}

export function redisLoad(assumed: Assumed): RedisLoad {
  const activeSessions = assumed.sessions * assumed['active-share']
  const warmSessions = assumed.sessions * assumed['warm-share']
  const commandsPerSecond = (activeSessions * assumed['commands-per-minute']) / SECONDS_PER_MINUTE
  const flushesPerSecond = (commandsPerSecond * assumed['tokens-per-command']) / assumed['pieces-per-flush']
  const cores = {
    commands: (commandsPerSecond * assumed['command-us']) / US_PER_SECOND,
    text: (flushesPerSecond * assumed['flush-us']) / US_PER_SECOND,
    nodes: ((assumed.edges + assumed.workers) * assumed['beat-us']) / US_PER_SECOND,
  }
  return {
    ...{ activeSessions, warmSessions, commandsPerSecond, flushesPerSecond, cores },
    bytes: activeSessions * assumed['active-bytes'] + warmSessions * assumed['warm-bytes'],
    primaries: Math.ceil((cores.commands + cores.text + cores.nodes) / assumed['busy-share']),
  }
}
