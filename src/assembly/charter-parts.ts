/**
 * The charter of this node: read before anything starts, and the gate that enforces it.
 */
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { defaultCharter } from '../charter/default.js'
import { CharterGate } from '../charter/gate.js'
import { loadCharterFile } from '../charter/load.js'
import type { Charter } from '../charter/schema.js'
import type { Config } from '../config/load.js'
import type { Log } from '../telemetry/log.js'

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
export function gateOf({ worker, database, charter: { file } }: Config, charter = defaultCharter()): CharterGate {
  const own = file === undefined ? [dirname(USUAL_FILE)] : [resolve(file)]
  const foreign = [resolve(worker.workspaceRoot), resolve(database.directory), resolve('.env'), ...own]
  return new CharterGate({ charter, foreign })
}
