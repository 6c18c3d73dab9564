/**
 * Writes the settings table as a commented `.env` file.
 */
import { text } from './kinds.js'
import { allSettings } from './schema.js'
import type { Setting } from './setting.js'

const HEADER = `# Settings of the orchestrator daemon. Copy to .env and remove the # of what you change.
# Precedence: command line, environment, .env, file of --config, default. Generated: npx tsx scripts/env-example.ts
# What is live takes effect when its file is saved, or on SIGHUP; the rest with the next start.
`

/** What the Compose files read beside the settings; the program itself does not. */
const COMPOSE = `# --- docker compose (read by docker-compose*.yml alone)
# Image of every role, instead of one that is built from the source; -slim leaves the Claude Agent SDK out
#ORCHESTRATOR_IMAGE=
# For the stop of a worker: DRAIN_TIMEOUT and 50 s more
#WORKER_STOP_GRACE=110s
# Parts that start on request: monitoring brings Prometheus and Grafana
#COMPOSE_PROFILES=
# Ports on this machine's loopback
#PROMETHEUS_PORT=9091
#GRAFANA_PORT=3000
`

/** The text of `.env.example`. */
export function renderEnvExample(): string {
  const sections = new Map<string, string[]>()
  for (const { section, setting } of allSettings()) {
    sections.set(section, [...(sections.get(section) ?? [`# --- ${section}`]), entry(setting)])
  }
  return `${HEADER}\n${[...sections.values()].map((lines) => lines.join('\n')).join('\n\n')}\n\n${COMPOSE}`
}

function entry(setting: Setting<unknown>): string {
  const notes = [
    // That any text will do goes without saying.
    ...(setting.kind === text ? [] : [setting.kind.expected]),
    ...(setting.unit ? [setting.unit] : []),
    ...(setting.secret ? ['secret'] : []),
    ...(setting.live ? ['live'] : []),
    ...(setting.replaced ? [`no effect: ${setting.replaced}`] : []),
    ...(setting.aliases.length > 0 ? [`also ${setting.aliases.join(', ')}`] : []),
  ]
  const note = notes.length > 0 ? ` (${notes.join('; ')})` : ''
  return `# ${setting.meaning}${note}\n#${setting.env}=${setting.fallback ?? ''}`
}
