/**
 * The charter of this node: read before anything starts, and what enforces it: the gate, and the limits of the others.
 */
import { existsSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { getHeapStatistics } from 'node:v8'
import { defaultCharter } from '../charter/default.js'
import { CharterGate } from '../charter/gate.js'
import { type CharterLimits, limitsOf, smallest } from '../charter/limits.js'
import { CharterError, loadCharterFile } from '../charter/load.js'
import { CharterSync, underKept } from '../charter/organization.js'
import type { Charter } from '../charter/schema.js'
import { USUAL_CHARTER } from '../config/charter-place.js'
import type { Config } from '../config/load.js'
import { type Log, silentLog } from '../telemetry/log.js'
import type { Foundation } from './planes.js'

const MB = 1024 * 1024
/** V8 adds it to what is asked for. */
const YOUNG_GENERATION_MB = 100

/** The charter that holds on this node, with what the settings say in its place. @throws CharterError with file, line and field */
export async function charterOf({ charter }: Config, log: Log, usualFile = USUAL_CHARTER): Promise<Charter> {
  return withSettings(await readCharter(charter.file ?? (existsSync(usualFile) ? usualFile : undefined), log), charter)
}

async function readCharter(file: string | undefined, log: Log): Promise<Charter> {
  if (file === undefined) return defaultCharter()
  const loaded = await loadCharterFile(file)
  for (const note of loaded.notes) log.warn({}, note)
  log.info({ file, name: loaded.charter.name }, 'the charter holds for every session')
  return loaded.charter
}

function withSettings(charter: Charter, settings: Config['charter']): Charter {
  const {
    name = charter.name,
    tier = charter.tier,
    maxTokensPerSession = charter.resourceLimits.maxTokensPerSession,
    maxConcurrentTasks = charter.resourceLimits.maxConcurrentTasks,
  } = settings
  const resourceLimits = { ...charter.resourceLimits, maxTokensPerSession, maxConcurrentTasks }
  return { ...charter, name, tier, resourceLimits }
}

/** No session reaches the files of another one, of the service with its keys, or the charter itself. */
function foreignTo({ worker, database, charter: { file }, server }: Config): string[] {
  const own = file === undefined ? [dirname(USUAL_CHARTER)] : [resolve(file)]
  const secret = [server.tlsKeyFile, server.configFile].flatMap((path) => (path === undefined ? [] : [resolve(path)]))
  return [resolve(worker.workspaceRoot), resolve(database.directory), resolve('.env'), ...own, ...secret]
}

/** The charter that counts on this node, with that of its organisation above it where it has one. */
export class OpenCharter {
  readonly gate: CharterGate
  #charter: Charter
  #limits: CharterLimits
  readonly #log: Log
  readonly #listeners: (() => void)[] = []

  constructor(config: Config, charter: Charter, log: Log) {
    this.gate = new CharterGate({ charter, foreign: foreignTo(config) })
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

  /** From now on this charter counts; with `config` where the paths of the service may have changed too. */
  adopt(charter: Charter, config?: Config): void {
    this.gate.adopt(charter, config && foreignTo(config))
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
  { config, settings, log, lifecycle }: Pick<Foundation, 'config' | 'settings' | 'log' | 'lifecycle'>,
  local = defaultCharter(),
): Promise<OpenCharter> {
  const charter = new OpenCharter(config, local, log)
  let sync: CharterSync | undefined
  const read = (now: Config) => charterOf(now, silentLog)
  const adopt = (own: Charter, now: Config): void => {
    charter.adopt(own, now)
    sync?.adoptLocal(own)
  }
  settings.watch<Charter>({ name: 'CHARTER_FILE', read, adopt }, local)
  const { organizationId, syncIntervalMs: intervalMs, cacheDirectory } = config.charter
  if (organizationId !== undefined) {
    const { apiUrl: baseUrl, apiKey } = config.neolith
    sync = new CharterSync({
      ...{ organizationId, baseUrl, apiKey, intervalMs, cacheDirectory: resolve(cacheDirectory), local, log },
      onUpdated: (both) => charter.adopt(both),
    })
    const started = sync
    await started.start()
    lifecycle.started('charter of the organisation', () => started.stop())
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

/** The window of a conversation, as settings and charter have it at the time. */
export function windowSettings(settings: Pick<Config, 'memory'>, charter: Pick<OpenCharter, 'limits'>) {
  return {
    get compactionEnabled(): boolean {
      return settings.memory.compactionEnabled
    },
    get threshold(): number {
      return settings.memory.compactionThreshold
    },
    get maxTokens(): number {
      const { maxContextTokens } = settings.memory
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
