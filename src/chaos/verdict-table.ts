/**
 * A verdict in words, for people: a table of the guarantees, the figures, and what broke, with the lines that show it.
 */
import type { Verdict } from './checker/checker.js'
import { type FaultFigures, nameOf } from './checker/fault-figures.js'
import type { Traffic } from './checker/figures.js'
import type { GuaranteeVerdict } from './checker/findings.js'
import type { Spread } from './checker/spread.js'

/** How to mark what is good, bad and beside the point; on anything but a terminal each returns its text. */
export interface Marks {
  good(text: string): string
  bad(text: string): string
  faint(text: string): string
}

const NO_MARKS: Marks = { good: (text) => text, bad: (text) => text, faint: (text) => text }

/** Shown of each guarantee; all that were kept stand in the JSON. */
const SHOWN_EXAMPLES = 3

export function verdictTable(verdict: Verdict, marks: Marks = NO_MARKS): string[] {
  return [
    ...columns([GUARANTEE_HEADING, ...verdict.guarantees.map(guaranteeRow)]).map((line, index) =>
      markRow(line, verdict.guarantees[index - 1], marks),
    ),
    '',
    ...figureLines(verdict),
    '',
    ...columns([FAULT_HEADING, ...verdict.figures.faults.map(faultRow)]),
    ...verdict.guarantees.flatMap((each) => exampleLines(each, marks)),
    '',
    verdict.ok ? marks.good(`All guarantees held (seed ${verdict.seed}).`) : marks.bad(brokenSentence(verdict)),
  ]
}

const GUARANTEE_HEADING = ['', 'verdict', 'checked', 'violated', 'promise']

function guaranteeRow({ guarantee, promise, checked, violated }: GuaranteeVerdict): string[] {
  const word = violated > 0 ? 'BROKEN' : checked === 0 ? 'not tried' : 'held'
  return [guarantee, word, `${checked}`, `${violated}`, promise]
}

function markRow(line: string, row: GuaranteeVerdict | undefined, marks: Marks): string {
  if (!row || (row.violated === 0 && row.checked === 0)) return marks.faint(line)
  return row.violated > 0 ? marks.bad(line) : line
}

function figureLines({ seed, figures }: Verdict): string[] {
  const { seconds, commands, sessions, events, resets, outsideFaults, insideFaults } = figures
  return [
    `${commands} commands in ${sessions} sessions, ${events} events, ${resets} resets, ${seconds.toFixed(0)} s, seed ${seed}`,
    ...columns([
      TRAFFIC_HEADING,
      trafficRow('outside of faults', outsideFaults),
      trafficRow('during faults', insideFaults),
    ]),
  ]
}

const TRAFFIC_HEADING = [
  'commands',
  'sent',
  'accepted',
  'share',
  'accepted after p50/p99/max',
  'ended after p50/p99/max',
]

const trafficRow = (name: string, { sent, accepted, acceptedShare, acceptMs, endMs }: Traffic): string[] => [
  name,
  `${sent}`,
  `${accepted}`,
  `${(acceptedShare * 100).toFixed(2)} %`,
  spreadText(acceptMs),
  spreadText(endMs),
]

const FAULT_HEADING = [
  'fault',
  'runs',
  'work on victim',
  'sent',
  'lost',
  'doubled',
  'takeover p50/p99/max',
  'resume p50/p99/max',
]

const faultRow = (figures: FaultFigures): string[] => [
  nameOf(figures),
  `${figures.runs}`,
  `${figures.withWorkOnVictim}`,
  `${figures.sent}`,
  `${figures.lost}`,
  `${figures.doubled}`,
  spreadText(figures.takeoverMs),
  spreadText(figures.resumeMs),
]

const spreadText = ({ count, p50, p99, max }: Spread): string =>
  count === 0 ? '–' : `${[p50, p99, max].map((ms) => ms.toFixed(ms < 10 ? 1 : 0)).join(' / ')} ms (${count})`

function exampleLines({ guarantee, violated, examples }: GuaranteeVerdict, marks: Marks): string[] {
  const shown = examples.slice(0, SHOWN_EXAMPLES)
  const lines = shown.flatMap(({ what, excerpt }) => [
    '',
    marks.bad(`${guarantee}  ${what}`),
    ...excerpt.map((line) => marks.faint(`      ${line}`)),
  ])
  return violated > shown.length ? [...lines, `      … and ${violated - shown.length} more of ${guarantee}`] : lines
}

function brokenSentence({ guarantees, seed }: Verdict): string {
  const broken = guarantees.filter(({ violated }) => violated > 0).map(({ guarantee }) => guarantee)
  return `Broken: ${broken.join(', ')} (seed ${seed}).`
}

/** Cells below each other; marks would confuse their widths. */
function columns(rows: readonly (readonly string[])[]): string[] {
  const widths = (rows[0] ?? []).map((_cell, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)))
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}
