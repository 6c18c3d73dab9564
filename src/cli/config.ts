/**
 * `orchestrator-daemon config`: the settings that a start here and now would use, and where each came from.
 */
import { type EffectiveSetting, effectiveSettings } from '../config/describe.js'
import { type FlagValue, loadConfig } from '../config/load.js'
import { Output, printable, table } from './output.js'

export async function config(flags: Readonly<Record<string, FlagValue>>): Promise<void> {
  const loaded = loadConfig({ flags, env: process.env, cwd: process.cwd() })
  const settings = effectiveSettings(loaded)
  const output = new Output()
  if (flags.json) {
    output.json(settings)
    return
  }
  const { bold, dim } = output.colours
  // Widths are counted without colours, so the lines are made first and coloured then.
  const lines = table(settings.map(rowOf))
  settings.forEach(({ section, source, value }, index) => {
    if (section !== settings[index - 1]?.section) output.line(`${index === 0 ? '' : '\n'}${bold(section)}`)
    const line = `  ${lines[index] ?? ''}`
    output.line(source === 'default' || value === undefined ? dim(line) : line)
  })
  for (const warning of loaded.warnings) output.note(output.noteColours.yellow(warning))
}

const rowOf = ({ name, value, unit, source, live }: EffectiveSetting): string[] => [
  name,
  value === undefined ? '-' : printable(value),
  value === undefined || unit === undefined ? '' : unit,
  source,
  live ? 'live' : '',
]
