/**
 * RESULTS.md: one section for each scenario, replaced by every run of it, with all that is needed to judge the figures.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import { type Plot, svgOf } from './measure/plot.js'
import type { Outcome, Table } from './scenarios/scenario.js'

const FILE = fileURLToPath(new URL('./RESULTS.md', import.meta.url))
const PLOTS = fileURLToPath(new URL('./plots/', import.meta.url))
const BYTES_PER_GB = 1_000_000_000
const INTRODUCTION = `# Load results

What the last runs of \`npm run load\` and \`npm run bench\` measured. Each section is written by its command; the load
generator, every process of the service, Redis and PostgreSQL share the machine that it names.
`

/** Replaces the section of `name`, or adds it. */
export function writeResults(name: string, command: string, outcome: Outcome): void {
  const before = existsSync(FILE) ? readFileSync(FILE, 'utf8') : INTRODUCTION
  const images = drawPlots(name, outcome.plots ?? [])
  writeFileSync(FILE, withSection(before, name, sectionText(command, outcome, images)))
}

/** Returns the lines that show them. */
function drawPlots(scenario: string, plots: readonly Plot[]): string {
  if (plots.length > 0) mkdirSync(PLOTS, { recursive: true })
  const images = plots.map((plot) => {
    const file = `${scenario}-${plot.name}.svg`
    writeFileSync(`${PLOTS}${file}`, svgOf(plot))
    return `![${plot.title}, ${plot.unit}](plots/${file})`
  })
  return images.join('\n')
}

/** The document with `text` under the heading of `name`; every other section stays as it is. */
export function withSection(document: string, name: string, text: string): string {
  const [introduction = '', ...sections] = document.split(/^## /m)
  const others = sections.filter((section) => section.split('\n')[0] !== name)
  const all = [...others, `${name}\n\n${text.trim()}\n`].map((section) => `## ${section.trimEnd()}\n`).toSorted()
  return `${[introduction.trimEnd(), ...all.map((section) => section.trimEnd())].join('\n\n')}\n`
}

function sectionText(command: string, outcome: Outcome, images: string): string {
  const { summary, versions, tables, notes, faults } = outcome
  const parts = Object.entries({ node: process.versions.node, ...versions }).map(
    ([name, version]) => `${name} ${version}`,
  )
  const where = `${machine()} · ${parts.join(' · ')} · ${new Date().toISOString().slice(0, 10)} · ${commit()}`
  const wrong = faults.map((fault) => `- **${fault}**`).join('\n')
  return [summary, `\`${command}\`  \n${where}`, ...tables.map(markdown), images, notes.join('\n'), wrong]
    .filter((part) => part !== '')
    .join('\n\n')
}

export const markdown = ({ head, rows }: Table): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')

/** The same table for a terminal. */
export function plainText({ head, rows }: Table): string {
  const lines = [head, ...rows]
  const widths = head.map((_, column) => Math.max(...lines.map((cells) => cells[column]?.length ?? 0)))
  return lines
    .map((cells) => `  ${cells.map((cell, at) => cell.padEnd(widths[at] ?? 0)).join('  ')}`.trimEnd())
    .join('\n')
}

function machine(): string {
  const processors = cpus()
  return `${processors.length} × ${processors[0]?.model.trim() ?? 'CPU'}, ${Math.round(totalmem() / BYTES_PER_GB)} GB`
}

/** Short hash of what was measured, with a mark when files have changed since. */
function commit(): string {
  try {
    const hash = git('rev-parse', '--short', 'HEAD')
    const changes = git('status', '--porcelain', '--', '../src')
    return `commit ${hash}${changes === '' ? '' : ' and changes'}`
  } catch {
    return 'no commit' // A copy without its history.
  }
}

const git = (...args: readonly string[]): string => {
  const cwd = fileURLToPath(new URL('.', import.meta.url))
  return execFileSync('git', args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
}
