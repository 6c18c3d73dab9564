/**
 * Where the reference looks for a charter, and so do we.
 */
import { homedir } from 'node:os'
import { join } from 'node:path'

export const USUAL_CHARTER = join(homedir(), 'orchestrator-daemon', 'orchestrator-charter.yaml')
