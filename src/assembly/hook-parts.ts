/**
 * The hooks of this node: read before anything starts.
 */
import type { Config } from '../config/load.js'
import { loadHooks } from '../runtimes/hooks/hook-file.js'
import { CommandHooks, type CommandHooksOptions, type ToolHooks } from '../runtimes/hooks/hooks.js'
import type { Log } from '../telemetry/log.js'
import type { PluginMetrics } from '../telemetry/metrics.js'

export interface HookParts extends Pick<CommandHooksOptions, 'sandbox' | 'supervisor'> {
  readonly config: Config
  readonly log: Log
  readonly plugins: PluginMetrics
}

/** Undefined where the operator has declared none. @throws HooksError with file and field */
export async function toolHooks({ config, log, plugins, ...guard }: HookParts): Promise<ToolHooks | undefined> {
  const { file } = config.hooks
  if (file === undefined) return undefined
  const hooks = await loadHooks(file)
  log.info({ file, hooks: hooks.map(({ event, command }) => `${event}: ${command}`) }, 'hooks run around tool calls')
  plugins.watch(() => hooks.length)
  return new CommandHooks({ hooks, log, onRan: plugins.ran, ...guard })
}
