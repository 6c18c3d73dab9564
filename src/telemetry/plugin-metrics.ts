/**
 * What is counted of that which extends sessions from outside: MCP servers, and hooks of the operator.
 */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client'
import { LabelLimit, MAX_TOOLS } from './label-limit.js'

/** What was asked of a plugin: a call of a tool, a connection, or a hook at its event. */
export type PluginUse = 'call' | 'load' | 'PreToolUse' | 'PostToolUse'

export interface PluginRun {
  /** Of a server that the operator declares, or of a hook's program. */
  readonly name: string
  readonly use: PluginUse
  readonly seconds: number
  /** A word for what went wrong; undefined when it went well. */
  readonly error?: string | undefined
}

export interface PluginMetrics {
  /** It was asked for something and has ended. An aborted one has not. */
  ran(run: PluginRun): void
  /** Reads, when the page is read, how many plugins are there: hooks that are declared, connections that are open. */
  watch(active: () => number): void
}

/** From a hook that looks at a name to a server that is fetched first. */
const RUN_BOUNDS_S = [0.001, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30]
const LOAD_BOUNDS_S = [0.01, 0.05, 0.1, 0.5, 1, 5, 15]
const TIMEOUT = 'timeout'

export function pluginMetrics(registry: Registry): PluginMetrics {
  const registers = [registry]
  const labelNames = ['plugin_name', 'hook', 'status']
  const total = new Counter({ name: 'wundr_plugin_execution_total', help: 'Uses of plugins', labelNames, registers })
  const durations = new Histogram({
    name: 'wundr_plugin_execution_duration_seconds',
    help: 'How long uses of plugins took',
    labelNames,
    buckets: RUN_BOUNDS_S,
    registers,
  })
  const loads = new Histogram({
    name: 'wundr_plugin_load_duration_seconds',
    help: 'From the start of an MCP server, or of a connection to it, until it has named its tools',
    labelNames: ['plugin_name'],
    buckets: LOAD_BOUNDS_S,
    registers,
  })
  const errors = new Counter({
    name: 'wundr_plugin_errors_total',
    help: 'Uses of plugins that went wrong',
    labelNames: ['plugin_name', 'hook', 'error_type'],
    registers,
  })
  const limit = new LabelLimit(MAX_TOOLS)
  return {
    ran: ({ name, use: hook, seconds, error }) => {
      const plugin_name = limit.of(name)
      if (error !== undefined) errors.inc({ plugin_name, hook, error_type: error })
      if (hook === 'load') {
        if (error === undefined) loads.observe({ plugin_name }, seconds)
        return
      }
      const status = error === undefined ? 'success' : error === TIMEOUT ? TIMEOUT : 'error'
      total.inc({ plugin_name, hook, status })
      durations.observe({ plugin_name, hook, status }, seconds)
    },
    watch: watched(registry),
  }
}

function watched(registry: Registry): PluginMetrics['watch'] {
  const sources: (() => number)[] = []
  new Gauge({
    name: 'wundr_plugin_active',
    help: 'Hooks that are declared, and connections to MCP servers that are open',
    registers: [registry],
    collect() {
      this.set(sources.reduce((sum, read) => sum + read(), 0))
    },
  })
  return (active) => {
    sources.push(active)
  }
}
