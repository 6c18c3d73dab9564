/**
 * `wundr orchestrator config set` and `reset`: changes of one settings file, in YAML, whose comments stay.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { ConfigError, loadConfig } from '../config/load.js'
import { withValue } from '../config/yaml-edit.js'
import { CommandFailure } from './exit.js'
import { Output } from './output.js'

/** Only its owner reads what may hold a key. */
const PRIVATE = 0o600
const NOTHING_SET = '# Settings of `wundr orchestrator`; nothing is set yet. See `wundr orchestrator config show`.\n'

/** Makes the file, so that a daemon which is started can look at it. */
export function ensureSettingsFile(file: string): void {
  if (existsSync(file)) return
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, NOTHING_SET, { mode: PRIVATE })
}

/** @throws CommandFailure | ConfigError when the file would not be right any more; it is as it was then. */
export function setSetting(file: string, pair: string): void {
  const at = pair.indexOf('=')
  const [key, value] = [pair.slice(0, at).trim(), pair.slice(at + 1).trim()]
  if (at < 1 || key === '') {
    throw new CommandFailure(`a setting is written as key=value, such as daemon.port=9090, not "${pair}"`)
  }
  const next = `${file}.next.yaml`
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(next, withValue(textOf(file), key.split('.'), value), { mode: PRIVATE })
  try {
    loadConfig({ flags: { config: next }, env: {}, cwd: dirname(file) })
    renameSync(next, file)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    throw new ConfigError(error.mistakes.map((mistake) => mistake.replaceAll(next, file)))
  } finally {
    rmSync(next, { force: true })
  }
  new Output().line(`${key} is set in ${file}`)
}

/** @throws CommandFailure unless it is really meant */
export function resetSettings(file: string, really: boolean): void {
  if (!really) throw new CommandFailure(`this forgets all that ${file} says; with --force it is done`)
  writeFileSync(file, NOTHING_SET, { mode: PRIVATE })
  new Output().line(`nothing is set in ${file} any more`)
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw error
  }
}
