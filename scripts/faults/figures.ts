/**
 * What the figures of a long fault run must be, and how they are shown.
 */

import type { Table } from '../../loadtest/scenarios/scenario.js'
import { type FaultFigures, nameOf } from '../../src/chaos/checker/fault-figures.js'
import type { Traffic } from '../../src/chaos/checker/figures.js'
import type { GuaranteeVerdict } from '../../src/chaos/checker/findings.js'
import type { Spread } from '../../src/chaos/checker/spread.js'
import type { Counts } from '../../src/chaos/load/plan.js'

export interface LongReport {
  readonly ok: boolean
  readonly seed: number
  readonly guarantees: readonly GuaranteeVerdict[]
  readonly figures: {
    readonly faults: readonly FaultFigures[]
    readonly outsideFaults: Traffic
    readonly seconds: number
  }
  readonly load: { readonly counts: Counts; readonly open: number }
  readonly faults: readonly object[]
  readonly complaints: readonly string[]
}

/** What G10 promises after a crash, and after a hang or a partition. */
const TAKEOVER_MS: Readonly<Record<string, number>> = {
  'worker-kill': 4_000,
  'worker-freeze': 10_000,
  partition: 10_000,
}
const ACCEPTED_SHARE = 0.99
/** A run of this many faults proves something about those that hurt most, if each found so much work so often. */
const LONG_RUN_FAULTS = 100
const WITH_WORK = 10
const HURT_MOST: readonly string[] = ['T1', 'T2', 'T4', 'T6', 'T7']

/** One sentence for everything that is not as promised. */
export function failuresOf({ guarantees, figures, load, complaints, faults }: LongReport): string[] {
  const broken = guarantees
    .filter(({ violated }) => violated > 0)
    .map(({ guarantee, violated, examples }) => `${guarantee} was violated ${violated} times: ${examples[0]?.what}`)
  const late = figures.faults.flatMap(({ fault, takeoverMs }) => {
    const bound = TAKEOVER_MS[fault]
    if (bound === undefined || takeoverMs.p99 <= bound) return []
    return [`takeover p99 after ${fault} was ${Math.round(takeoverMs.p99)} ms; at most ${bound} ms is promised`]
  })
  const { acceptedShare } = figures.outsideFaults
  const declined =
    acceptedShare >= ACCEPTED_SHARE ? [] : [`only ${percent(acceptedShare)} were accepted outside of faults`]
  const open = load.open === 0 ? [] : [`${load.open} commands never ended`]
  const idle = faults.length < LONG_RUN_FAULTS ? [] : HURT_MOST.flatMap((test) => idleIn(figures.faults, test))
  return [...broken, ...late, ...declined, ...open, ...idle, ...complaints]
}

function idleIn(faults: readonly FaultFigures[], test: string): string[] {
  const runs = faults.filter((each) => each.test === test).reduce((sum, each) => sum + each.withWorkOnVictim, 0)
  return runs >= WITH_WORK ? [] : [`${test} found work on its victim ${runs} times; ${WITH_WORK} are to be`]
}

export function tablesOf({ guarantees, figures, load }: LongReport): Table[] {
  const { counts } = load
  const { outsideFaults } = figures
  return [
    {
      head: ['measure', 'figure'],
      rows: [
        ['commands sent · ended · refused', `${counts.sent} · ${counts.ended} · ${counts.refused}`],
        ['sent again by their clients · by others', `${counts.repeated} · ${counts.duplicates}`],
        ['accepted outside of faults', percent(outsideFaults.acceptedShare)],
        ['acceptance p50 / p99 / max (count) outside of faults', spreadText(outsideFaults.acceptMs)],
      ],
    },
    {
      head: FAULT_HEAD,
      rows: figures.faults.map((of) => [
        ...[`${of.test} ${nameOf(of)}`, `${of.runs}`, `${of.withWorkOnVictim}`, `${of.sent}`, `${of.lost}`],
        ...[`${of.doubled}`, spreadText(of.takeoverMs), spreadText(of.resumeMs)],
      ]),
    },
    {
      head: ['guarantee', 'checked', 'violated'],
      rows: guarantees.map(({ guarantee, promise, checked, violated }) => [
        ...[`${guarantee}: ${promise}`, `${checked}`, `${violated}`],
      ]),
    },
  ]
}

const FAULT_HEAD = [
  ...['fault', 'runs', 'with work on the victim', 'commands sent', 'lost', 'doubled'],
  ...['takeover p50 / p99 / max', 'resume p50 / p99 / max'],
]

const percent = (share: number): string => `${(share * 100).toFixed(2)} %`

const spreadText = ({ count, p50, p99, max }: Spread): string =>
  count === 0 ? '–' : `${[p50, p99, max].map(Math.round).join(' / ')} ms (${count})`
