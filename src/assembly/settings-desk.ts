/**
 * Settings as an administrator sees and sets them over the wire, and the account of every one that has changed while this
 * node runs.
 */
import { judgeSettings } from '../config/asked.js'
import { effectiveSettings } from '../config/describe.js'
import type { SettingsSource } from '../edge/v2/sources.js'
import { ServiceError } from '../protocol/errors.js'
import { type AuditEntry, SERVICE_CHAIN } from '../storage/audit-log.js'
import { isLogLevel, type LogLevelSwitch } from '../telemetry/log-level.js'
import type { Adopted, LiveSettings } from './live-settings.js'

const LOG_LEVEL = 'LOG_LEVEL'
/** What makes a log loud; where the log is not ours they have no effect. */
const OF_THE_LOG = [LOG_LEVEL, 'DEBUG', 'DAEMON_VERBOSE']

/** `logLevel`: undefined where that is not for an operator to change. */
export function settingsDesk(settings: LiveSettings, logLevel: LogLevelSwitch | undefined): SettingsSource {
  const read = (): ReadonlyMap<string, string | undefined> => {
    const shown = new Map(effectiveSettings(settings.view).map(({ name, value }) => [name, value]))
    if (logLevel) shown.set(LOG_LEVEL, logLevel.current)
    return shown
  }
  return {
    read,
    async change(values, { merge, by: { tenant, subject } }) {
      const { live, needRestart, mistakes } = judgeSettings(values)
      const ownersAlone = logLevel ? [] : OF_THE_LOG.filter((name) => live.has(name))
      const wrong = [...mistakes, ...ownersAlone.map((name) => `${name} is for the owner of this log to say`)]
      if (wrong.length > 0) throw new ServiceError('invalid_payload', { reason: wrong.join('; ') })
      const before = read()
      const cause = { actor: `${tenant}/${subject}`, by: 'config.set' }
      const { refused } = await settings.set(live, { merge, cause })
      if (refused !== undefined) throw new ServiceError('invalid_payload', { reason: refused })
      turn(logLevel, live)
      const after = read()
      return { applied: [...live.keys()], needRestart, changes: differences(before, after) }
    },
  }
}

/** Also where an operator had turned it, and where it is the one that was configured. */
function turn(logLevel: LogLevelSwitch | undefined, live: ReadonlyMap<string, unknown>): void {
  if (!logLevel || !live.has(LOG_LEVEL)) return
  const level = live.get(LOG_LEVEL)
  if (isLogLevel(level)) logLevel.set(level)
  else logLevel.reset()
}

function differences(before: ReadonlyMap<string, string | undefined>, after: ReadonlyMap<string, string | undefined>) {
  const changed = [...after].filter(([name, value]) => before.get(name) !== value)
  return changed.map(([setting, value]) => ({ setting, from: before.get(setting) ?? '-', to: value ?? '-' }))
}

/** A row of the service's chain: settings are the node's, whoever has changed them. */
export const settingsNote = (node: string, { cause, changes, files }: Adopted): AuditEntry => ({
  ...{ tenant: SERVICE_CHAIN, actor: cause.actor, action: 'settings.changed', sessionId: undefined, subject: node },
  detail: { by: cause.by, changes: changes.map(({ name, from, to }) => ({ setting: name, from, to })), files },
})
