/**
 * Alerts that a process raises about itself: when they begin to count, when they are over, and that they are those of the
 * rules for Prometheus.
 */
import { expect, test, vi } from 'vitest'
import { ALERT_RULES, type AlertRule } from '../../../src/telemetry/alert-rules.js'
import { Alerts, type GaugeSample } from '../../../src/telemetry/alerts.js'
import { parseYaml, readText } from '../../support/deployment-files.js'
import { everyMetric } from '../../support/every-metric.js'

const RULE: AlertRule = {
  ...{ name: 'Waits', severity: 'warning', family: 'depth', labels: { queue: 'a' } },
  ...{ when: 'above', bound: 5, forMs: 60_000, summary: 'Too much waits' },
}
const sample = (value: number, labels: GaugeSample['labels'] = { queue: 'a' }): GaugeSample => ({ value, labels })

function fixture(rules: readonly AlertRule[] = [RULE]) {
  const families: Record<string, readonly GaugeSample[]> = {}
  const clock = { ms: Date.parse('2026-01-01T00:00:00.000Z') }
  const log = { warn: vi.fn(), info: vi.fn() }
  const samples = async (family: string) => families[family] ?? []
  const alerts = new Alerts({ rules, samples, log, now: () => clock.ms })
  const states = async () => (await alerts.active()).map(({ name, state }) => `${name} ${state}`)
  return { families, clock, log, alerts, states }
}

test('MET, H-08: a condition fires when it has lasted long enough, is told once, and is over when it is not true any more', async () => {
  const { families, clock, log, alerts, states } = fixture()
  families.depth = [sample(6), sample(100, { queue: 'b' })]

  expect(await states()).toEqual(['Waits pending'])
  clock.ms += 59_999
  expect(await states()).toEqual(['Waits pending'])
  clock.ms += 1
  families.depth = [sample(7)]
  expect(await alerts.active()).toEqual([
    {
      ...{ name: 'Waits', state: 'firing', severity: 'warning', labels: { queue: 'a' }, value: 7, bound: 5 },
      ...{ since: '2026-01-01T00:00:00.000Z', summary: 'Too much waits' },
    },
  ])
  await states()
  families.depth = [sample(5)]
  expect(await states()).toEqual([])

  expect(log.warn.mock.calls).toEqual([
    [expect.objectContaining({ alert: 'Waits', value: 7 }), 'alert: Too much waits'],
  ])
  expect(log.info).toHaveBeenCalledTimes(1)
})

test('a condition that goes and comes again begins anew, and one that never fired is told to nobody', async () => {
  const { families, clock, log, states } = fixture()

  for (const value of [6, 0, 6]) {
    families.depth = [sample(value)]
    await states()
    clock.ms += 40_000
  }

  expect(await states()).toEqual(['Waits pending'])
  expect([log.warn, log.info].map(({ mock }) => mock.calls.length)).toEqual([0, 0])
})

test('a share is judged by the whole with the same labels; firing ones come first, then the worst', async () => {
  const full: AlertRule = {
    ...{ name: 'Full', severity: 'critical', family: 'free', of: 'size', when: 'below' },
    ...{ bound: 0.1, forMs: 60_000, summary: 'A disk is full' },
  }
  const { families, clock, alerts, states } = fixture([{ ...RULE, forMs: 0, severity: 'info' }, full])
  families.depth = [sample(6)]
  families.free = [sample(9, { folder: 'a' }), sample(90, { folder: 'b' })]
  families.size = [sample(100, { folder: 'a' }), sample(100, { folder: 'b' })]

  expect(await states()).toEqual(['Waits firing', 'Full pending'])
  clock.ms += 60_000
  expect(await states()).toEqual(['Full firing', 'Waits firing'])
  expect((await alerts.active())[0]).toMatchObject({ labels: { folder: 'a' }, value: 0.09 })
})

interface PrometheusRule {
  readonly alert?: string
  readonly expr: string
  readonly for?: string
  readonly labels?: { readonly severity?: string }
}

const UNITS = { s: 1_000, m: 60_000, h: 3_600_000 } as const

test('each is one of those for Prometheus, with the same bound, patience and severity', () => {
  const [file] = parseYaml(readText('deploy/monitoring/rules.yml')) as [{ groups: { rules: PrometheusRule[] }[] }]
  const theirs = new Map(file.groups.flatMap(({ rules }) => rules.map((rule) => [rule.alert ?? '', rule] as const)))

  for (const { name, severity, family, of, labels = {}, when, bound, forMs } of ALERT_RULES) {
    const { expr = '', for: patience = '', labels: given } = theirs.get(name) ?? {}
    const [, amount, unit] = /^(\d+)([smh])$/.exec(patience) ?? []
    expect([given?.severity, Number(amount) * UNITS[unit as keyof typeof UNITS]], name).toEqual([severity, forMs])
    for (const word of [family, of ?? '', ...Object.values(labels)]) expect(expr, name).toContain(word)
    const [, operator, number] = /(==|[<>])\s*([\d.]+)\s*$/.exec(expr) ?? []
    // What is 0 or 1 is asked for as such there.
    const theirBound = operator === '==' ? 0.5 : Number(number)
    const theirSide = operator === '==' ? (number === '1' ? 'above' : 'below') : operator === '>' ? 'above' : 'below'
    expect([theirSide, theirBound], name).toEqual([when, bound])
  }
})

test('each asks for a gauge that there is', async () => {
  const page = await everyMetric()

  for (const { family, of } of ALERT_RULES) {
    for (const each of of ? [family, of] : [family]) expect(page.get(each)?.type, each).toBe('gauge')
  }
})
