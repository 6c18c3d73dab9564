/**
 * Settings of the charter: what sessions may do.
 */
import { text } from '../kinds.js'
import { optional } from '../setting.js'

export const charter = {
  file: optional(
    'CHARTER_FILE',
    text,
    'Charter of this service (.yaml or .json); without it ~/orchestrator-daemon/orchestrator-charter.yaml, else the built-in one',
  ),
}
