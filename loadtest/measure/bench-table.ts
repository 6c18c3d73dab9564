/**
 * Subjects of the comparison side by side, and each as a multiple of Socket.IO.
 */
import type { Table } from '../scenarios/scenario.js'
import type { LoadFigures } from './load-figures.js'
import { median } from './tables.js'

export interface SubjectFigures {
  readonly name: string
  /** One for each round. */
  readonly closed: LoadFigures[]
  readonly open: LoadFigures[]
}

const MESSAGES_PER_ROUND_TRIP = 2

const HEAD = [
  ...[
    'subject',
    'round trips/s',
    'p50',
    'p99',
    'CPU µs',
    '× Socket.IO',
    'at the rate: answered/s',
    'p50',
    'p99',
    'CPU µs',
  ],
  ...['p99 × Socket.IO', 'lost'],
]

/** CPU µs of all processes but the generator, per round trip. The last subject is what the others are compared with. */
export function benchTable(subjects: readonly SubjectFigures[]): Table {
  const reference = subjects.at(-1)
  const peakOf = (subject: SubjectFigures): number => middle(subject.closed, (run) => run.report.roundTripsPerSecond)
  const p99Of = (subject: SubjectFigures): number => middle(subject.open, (run) => run.report.latency.p99)
  const ratio = (value: (subject: SubjectFigures) => number, subject: SubjectFigures): string =>
    reference === undefined ? '' : (value(subject) / value(reference)).toFixed(2)
  return {
    head: HEAD,
    rows: subjects.map((subject) => [
      subject.name,
      ...loadCells(subject.closed),
      ratio(peakOf, subject),
      ...loadCells(subject.open),
      ratio(p99Of, subject),
      String(lostOf([...subject.closed, ...subject.open])),
    ]),
  }
}

/** CPU µs of each part for a message in the closed loop: a round trip is two, one there and one back. */
export function partsTable(subjects: readonly SubjectFigures[]): Table {
  const names = [...new Set(subjects.flatMap(({ closed }) => closed.flatMap((run) => Object.keys(run.cpuUs))))]
  return {
    head: ['CPU µs per message', ...names, 'together'],
    rows: subjects.map(({ name, closed }) => {
      const each = names.map((part) => middle(closed, (run) => run.cpuUs[part] ?? 0) / MESSAGES_PER_ROUND_TRIP)
      const cells = each.map((us) => (us === 0 ? '–' : us.toFixed(1)))
      return [name, ...cells, each.reduce((sum, us) => sum + us, 0).toFixed(1)]
    }),
  }
}

/** The last subject is what the others are compared with, as above. */
export function pingTable(subjects: readonly Pick<SubjectFigures, 'name' | 'closed'>[]): Table {
  const perSecond = ({ closed }: Pick<SubjectFigures, 'closed'>): number =>
    middle(closed, (run) => run.report.roundTripsPerSecond)
  const reference = subjects.at(-1)
  return {
    head: ['`ping`', 'answers/s', 'p50', 'p99', 'CPU µs', 'ratio'],
    rows: subjects.map((subject) => [
      ...[subject.name, ...loadCells(subject.closed)],
      reference === undefined ? '' : (perSecond(subject) / perSecond(reference)).toFixed(2),
    ]),
  }
}

const middle = (runs: readonly LoadFigures[], value: (run: LoadFigures) => number): number => median(runs.map(value))

function loadCells(runs: readonly LoadFigures[]): string[] {
  const { p50, p99 } = {
    p50: middle(runs, (run) => run.report.latency.p50),
    p99: middle(runs, (run) => run.report.latency.p99),
  }
  const perSecond = middle(runs, (run) => run.report.roundTripsPerSecond)
  return [
    perSecond.toLocaleString('en-US'),
    `${p50.toFixed(1)} ms`,
    `${p99.toFixed(1)} ms`,
    middle(runs, cpuOf).toFixed(0),
  ]
}

const cpuOf = ({ cpuUs }: LoadFigures): number =>
  Object.entries(cpuUs).reduce((sum, [name, us]) => sum + (name === 'generator' ? 0 : us), 0)

const lostOf = (runs: readonly LoadFigures[]): number =>
  runs.reduce((sum, { report }) => sum + report.unanswered + report.notSent, 0)
