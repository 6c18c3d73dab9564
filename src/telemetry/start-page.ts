/**
 * The page at the root of the metrics port: how this process is, its alerts, and where everything else is. Without scripts and
 * without anything from elsewhere; it loads itself again.
 */
import type { Alert } from './alerts.js'
import type { HealthReport, Readiness } from './health.js'

export interface StartPageParts {
  readonly version: string
  readonly report: HealthReport
  readonly readiness: Readiness
  readonly alerts: readonly Alert[]
  /** Paths that can be read, with what they show. */
  readonly pages: readonly (readonly [path: string, shows: string])[]
}

const RELOAD_SECONDS = 15
const STYLE = `body{font:15px system-ui,sans-serif;margin:2rem;max-width:60rem;color:#1c1c1c;background:#fff}
table{border-collapse:collapse}td,th{text-align:left;padding:.25rem 1rem .25rem 0;vertical-align:top}
.unhealthy,.critical{color:#b00020;font-weight:600}.degraded,.warning{color:#8a5a00;font-weight:600}`

export function startPage({ version, report, readiness, alerts, pages }: StartPageParts): string {
  const parts = Object.entries(report.checks).map(([name, { status, durationMs }]) => [
    ...[name, marked(status), `${durationMs} ms`],
  ])
  const rows = alerts.map(({ name, state, severity, labels, value, since, summary }) => [
    ...[marked(severity), text(state), text(name), text(summary)],
    ...[text(Object.values(labels).join(' ')), text(String(Number(value.toPrecision(3)))), text(since)],
  ])
  const links = pages.map(([path, shows]) => [`<a href="${text(path)}">${text(path)}</a>`, text(shows)])
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>orchestrator-daemon</title>
<meta http-equiv="refresh" content="${RELOAD_SECONDS}">
<meta http-equiv="content-security-policy" content="default-src 'none'; style-src 'unsafe-inline'">
<style>${STYLE}</style></head><body>
<h1>orchestrator-daemon ${text(version)}</h1>
<p>${marked(report.status)}, ${text(readiness.message)}, up for ${Math.floor(process.uptime())} s</p>
<h2>Parts</h2>${table(parts)}
<h2>Alerts</h2>${rows.length === 0 ? '<p>none</p>' : table(rows)}
<h2>Pages</h2>${table(links)}
</body></html>
`
}

/** The cells are HTML already. */
const table = (rows: readonly (readonly string[])[]): string =>
  `<table>${rows.map((cells) => `<tr>${cells.map((cell) => `<td>${cell}</td>`).join('')}</tr>`).join('')}</table>`

const marked = (word: string): string => `<span class="${text(word)}">${text(word)}</span>`

const ESCAPED: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

const text = (raw: string): string => raw.replaceAll(/[&<>"']/g, (character) => ESCAPED[character] ?? character)
