/**
 * Settings of the charter: what sessions may do.
 */
import { milliseconds, text } from '../kinds.js'
import { optional, setting } from '../setting.js'

export const charter = {
  file: optional(
    'CHARTER_FILE',
    text,
    'Charter of this service (.yaml or .json); without it ~/orchestrator-daemon/orchestrator-charter.yaml, else the built-in one',
  ),
  approvalTimeoutMs: setting(
    'APPROVAL_TIMEOUT',
    milliseconds(1_000),
    '3600000',
    'For a person to answer; a tool call that nobody approved by then is refused',
    { unit: 'milliseconds' },
  ),
}
