/**
 * The charter of this node: read before anything starts, and what enforces it: the gate, and the limits of the others.
 */
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { getHeapStatistics } from 'node:v8'
import { defaultCharter } from '../charter/default.js'
import { CharterGate } from '../charter/gate.js'
import { type CharterLimits, limitsOf, smallest } from '../charter/limits.js'
import { CharterError, loadCharterFile } from '../charter/load.js'
import { CharterSync, underKept } from '../charter/organization.js'
import type { Charter } from '../charter/schema.js'
import type { Config } from '../config/load.js'
import { type Log, silentLog } from '../telemetry/log.js'
import type { Foundation } from './planes.js'

const MB = 1024 * 1024
/** V8 adds it to what is asked for. */
const YOUNG_GENERATION_MB = 100
/** Where the reference looks for one. */
const USUAL_FILE = join(homedir(), 'orchestrator-daemon', 'orchestrator-charter.yaml')

/** The charter that holds on this node. @throws CharterError with file, line and field */
export async function charterOf({ charter }: Config, log: Log, usualFile = USUAL_FILE): Promise<Charter> {
  const file = charter.file ?? (existsSync(usualFile) ? usualFile : undefined)
  if (file === undefined) return defaultCharter()
  const loaded = await loadCharterFile(file)
  for (const note of loaded.notes) log.warn({}, note)
  log.info({ file, name: loaded.charter.name }, 'the charter holds for every session')
  return loaded.charter
}

/** The gate; no session reaches the files of another one, of the service, or the charter itself. */
function gateOf({ worker, database, charter: { file } }: Config, charter: Charter): CharterGate {
  const own = file === undefined ? [dirname(USUAL_FILE)] : [resolve(file)]
  const foreign = [resolve(worker.workspaceRoot), resolve(database.directory), resolve('.env'), ...own]
  return new CharterGate({ charter, foreign })
}

/** The charter that counts on this node, with that of its organisation above it where it has one. */
export class OpenCharter {
  readonly gate: CharterGate
  #charter: Charter
  #limits: CharterLimits
  readonly #log: Log
  readonly #listeners: (() => void)[] = []

  constructor(config: Config, charter: Charter, log: Log) {
    this.gate = gateOf(config, charter)
    this.#charter = charter
    this.#limits = limitsOf(charter)
    this.#log = log
  }

  /** The one that counts now. */
  get charter(): Charter {
    return this.#charter
  }

  /** As they stand now. */
  get limits(): CharterLimits {
    return this.#limits
  }

  /** From now on this charter counts. */
  adopt(charter: Charter): void {
    this.gate.adopt(charter)
    this.#charter = charter
    this.#limits = limitsOf(charter)
    for (const listener of this.#listeners) listener()
  }

  /** Called after each change of the charter. */
  onChanged(listener: () => void): void {
    this.#listeners.push(listener)
  }

  /** V8 takes a limit only when a process starts: one that came later, or to a program that is no daemon, waits. */
  checkHeap(): void {
    const { maxHeapMb } = this.#limits
    const mayTakeMb = Math.round(getHeapStatistics().heap_size_limit / MB)
    if (maxHeapMb === undefined || mayTakeMb <= maxHeapMb + YOUNG_GENERATION_MB) return
    const note =
      'this process may take more memory than the charter says; it holds from the next start of the daemon on'
    this.#log.warn({ maxHeapMb, mayTakeMb }, note)
  }
}

/** Kept up to date with the charter of the organisation until this node stops. */
export async function openCharter(
  { config, log, lifecycle }: Pick<Foundation, 'config' | 'log' | 'lifecycle'>,
  local = defaultCharter(),
): Promise<OpenCharter> {
  const charter = new OpenCharter(config, local, log)
  const { organizationId, syncIntervalMs: intervalMs, cacheDirectory } = config.charter
  if (organizationId !== undefined) {
    const { apiUrl: baseUrl, apiKey } = config.neolith
    const sync = new CharterSync({
      ...{ organizationId, baseUrl, apiKey, intervalMs, cacheDirectory: resolve(cacheDirectory), local, log },
      onUpdated: (both) => charter.adopt(both),
    })
    await sync.start()
    lifecycle.started('charter of the organisation', () => sync.stop())
  }
  // A node without sessions is no charter's business.
  if (config.server.role === 'edge') return charter
  charter.checkHeap()
  charter.onChanged(() => charter.checkHeap())
  return charter
}

/** What a worker may take on: the settings say it, and the charter may say less. */
export function workerLimits({ server }: Pick<Config, 'server'>, { maxSessions, maxConcurrentTasks }: CharterLimits) {
  return { maxSessions: Math.min(server.maxSessions, maxSessions ?? server.maxSessions), maxConcurrentTasks }
}

/** The window of a conversation, which the charter may make smaller at any time. */
export function windowSettings({ memory }: Pick<Config, 'memory'>, charter: Pick<OpenCharter, 'limits'>) {
  const { maxContextTokens, compactionEnabled, compactionThreshold: threshold } = memory
  return {
    ...{ compactionEnabled, threshold },
    get maxTokens(): number {
      return Math.min(maxContextTokens, charter.limits.maxContextTokens ?? maxContextTokens)
    },
  }
}

/** The heap that a node with sessions may have, in MB: of the settings and the charters known before its start, the smaller. */
export async function charteredHeapMb(config: Config): Promise<number | undefined> {
  const { maxHeapMb } = config.server
  const { organizationId, cacheDirectory } = config.charter
  try {
    // What is to be said of it is said by the process that goes on.
    const local = await charterOf(config, silentLog)
    const kept = { organizationId: organizationId ?? '', cacheDirectory: resolve(cacheDirectory) }
    const both = organizationId === undefined ? local : await underKept(kept, local)
    return smallest(maxHeapMb, limitsOf(both).maxHeapMb)
  } catch (error) {
    if (error instanceof CharterError) return maxHeapMb // The start says what is wrong with it.
    throw error
  }
}
