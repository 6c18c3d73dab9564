/**
 * The charter of this node: read before anything starts, and the gate that enforces it.
 */
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { defaultCharter } from '../charter/default.js'
import { CharterGate } from '../charter/gate.js'
import { loadCharterFile } from '../charter/load.js'
import { CharterSync } from '../charter/organization.js'
import type { Charter } from '../charter/schema.js'
import type { Config } from '../config/load.js'
import type { Log } from '../telemetry/log.js'
import type { Foundation } from './planes.js'

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

/** The gate of this node, kept up to date with the charter of its organisation where it has one. */
export async function openGate(
  { config, log, lifecycle }: Pick<Foundation, 'config' | 'log' | 'lifecycle'>,
  local = defaultCharter(),
): Promise<CharterGate> {
  const gate = gateOf(config, local)
  const { organizationId, syncIntervalMs: intervalMs, cacheDirectory } = config.charter
  if (organizationId === undefined) return gate
  const { apiUrl: baseUrl, apiKey } = config.neolith
  const sync = new CharterSync({
    ...{ organizationId, baseUrl, apiKey, intervalMs, cacheDirectory: resolve(cacheDirectory), local, log },
    onUpdated: (charter) => gate.adopt(charter),
  })
  await sync.start()
  lifecycle.started('charter of the organisation', () => sync.stop())
  return gate
}

/** What a worker may take on: the settings say it, and the charter may say less. */
export function workerLimits({ server }: Config, { resourceLimits } = defaultCharter()) {
  const { maxSessions, maxConcurrentTasks } = resourceLimits
  const sessions = Math.min(server.maxSessions, maxSessions ?? server.maxSessions)
  return { maxSessions: sessions, maxConcurrentTasks }
}
