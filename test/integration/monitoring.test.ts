/**
 * Alerts, recorded figures, the board and the autoscalers ask for nothing that a real cluster does not export: a node of
 * each role is started and its page is read.
 */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { loadConfig } from '../../src/config/load.js'
import { Daemon } from '../../src/daemon.js'
import { silentLog } from '../../src/telemetry/log.js'
import { createServerDatabase } from '../support/databases.js'
import { parseYaml, readText } from '../support/deployment-files.js'
import { everyMetric } from '../support/every-metric.js'
import { type MetricsPage, readMetrics } from '../support/metrics-page.js'
import { groupingLabels, type Matcher, type SeriesSelector, selectorsIn } from '../support/promql.js'

const ROLES = ['edge', 'worker', 'coordinator'] as const
type Role = (typeof ROLES)[number]

interface Rule {
  readonly record?: string
  readonly alert?: string
  readonly expr: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
}

interface Panel {
  readonly title: string
  readonly targets?: readonly { readonly expr: string; readonly legendFormat?: string }[]
}

/** Of Prometheus itself, and what scrape configuration and ServiceMonitor give to each series. */
const TARGET_LABELS = ['job', 'role', 'instance', 'namespace', 'alertname', 'alertstate']
const OF_PROMETHEUS = ['up', 'ALERTS']
/** Of other exporters, where they run: an alert without its series keeps silent. */
const OF_OTHERS = [
  ...['redis_memory_used_bytes', 'redis_memory_max_bytes'],
  ...['kubelet_volume_stats_available_bytes', 'kubelet_volume_stats_capacity_bytes'],
]

const rules = (parseYaml(readText('deploy/monitoring/rules.yml'))[0] as { groups: { rules: Rule[] }[] }).groups.flatMap(
  (group) => group.rules,
)
const board = JSON.parse(readText('deploy/monitoring/grafana/boards/orchestrator.json')) as {
  readonly panels: readonly Panel[]
  readonly templating: { readonly list: readonly { readonly definition?: string }[] }
}
const recorded = rules.flatMap(({ record }) => record ?? [])

const folder = mkdtempSync(join(tmpdir(), 'monitoring-'))
const pages = new Map<Role, MetricsPage>()
let database: Awaited<ReturnType<typeof createServerDatabase>>
const daemons: Daemon[] = []
let specimen: MetricsPage

async function startNode(role: Role, cluster: string): Promise<Daemon> {
  const env = {
    ...{ DAEMON_ROLE: role, DAEMON_NAME: role, DAEMON_PORT: '0', METRICS_PORT: '0', SHARD_COUNT: '4' },
    ...{ REDIS_URL: process.env.TEST_REDIS_URL ?? '', DATABASE_URL: database.url, CLUSTER_NAME: cluster },
    // Nobody listens there, and the figures are exported all the same.
    ...{ NEOLITH_API_URL: 'http://127.0.0.1:9', NEOLITH_API_KEY: 'vp_o_1', NEOLITH_API_SECRET: 's' },
    ...{ WORKSPACE_ROOT: join(folder, 'workspaces'), DAEMON_JWT_SECRET: 'a-secret-of-at-least-thirty-two-characters' },
  }
  const daemon = new Daemon({
    config: loadConfig({ flags: {}, env, cwd: folder }),
    log: silentLog,
    onDead: () => undefined,
  })
  daemons.push(daemon)
  await daemon.start()
  return daemon
}

beforeAll(async () => {
  database = await createServerDatabase()
  const cluster = `monitoring-${randomBytes(4).toString('hex')}`
  for (const role of ROLES) {
    const daemon = await startNode(role, cluster)
    pages.set(role, await readMetrics(daemon.metricsPort))
  }
  specimen = await everyMetric()
})

afterAll(async () => {
  for (const daemon of daemons.reverse()) await daemon.stop()
  await database?.remove()
  rmSync(folder, { recursive: true, force: true })
})

const exported = (): ReadonlySet<string> => new Set(ROLES.flatMap((role) => [...(pages.get(role)?.keys() ?? [])]))

/** The family that a series belongs to: histograms and summaries have three names each. */
function familyOf(metric: string): string {
  const stem = metric.replace(/_(bucket|count|sum)$/, '')
  return /^(histogram|summary)$/.test(specimen.get(stem)?.type ?? '') ? stem : metric
}

/** Each label of the series of one name, with the values that it has been seen with. */
function labelsOf(metric: string): ReadonlyMap<string, ReadonlySet<string>> {
  const labels = new Map<string, Set<string>>()
  for (const series of specimen.get(familyOf(metric))?.series.keys() ?? []) {
    if (series !== metric && !series.startsWith(`${metric}{`)) continue
    for (const [, label = '', value = ''] of series.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) {
      labels.set(label, (labels.get(label) ?? new Set()).add(value))
    }
  }
  return labels
}

const isOurs = ({ metric }: SeriesSelector) =>
  !recorded.includes(metric) && !OF_PROMETHEUS.concat(OF_OTHERS).includes(metric)

/** One sentence for each thing that an expression asks for and no node says. */
function faultsOf(expression: string): string[] {
  const selectors = selectorsIn(expression).filter(isOurs)
  const names = new Set(selectors.flatMap(({ metric }) => [...labelsOf(metric).keys()]))
  const foreign = selectorsIn(expression).some((each) => !isOurs(each))
  return [
    ...selectors
      .filter(({ metric }) => !exported().has(familyOf(metric)))
      .map(({ metric }) => `${metric} is not exported`),
    ...selectors.flatMap(({ metric, matchers }) => matchers.flatMap((each) => matcherFault(metric, each))),
    ...groupingLabels(expression)
      .filter((label) => !names.has(label) && !TARGET_LABELS.includes(label) && !foreign)
      .map((label) => `nothing here has a label ${label} to group by`),
  ]
}

function matcherFault(metric: string, { label, operator, value }: Matcher): string[] {
  if (TARGET_LABELS.includes(label)) return []
  const values = labelsOf(metric).get(label)
  if (!values) return [`${metric} has no label ${label}`]
  const matches = operator.endsWith('~')
    ? (it: string) => new RegExp(`^(${value})$`).test(it)
    : (it: string) => it === value
  const some = [...values].some(matches)
  return some || operator.startsWith('!') ? [] : [`${label} of ${metric} is never ${value}`]
}

test('each family that a node exports is driven in the specimen, so that its labels are known', () => {
  const silent = [...exported()].filter((family) => (specimen.get(family)?.series.size ?? 0) === 0)

  // Only where garbage has been collected, or the platform has handles open.
  expect(silent.filter((family) => !/^(nodejs|process)_/.test(family))).toEqual([])
})

describe('rules', () => {
  test.each(rules.map((rule) => [rule.record ?? rule.alert ?? '', rule] as const))(
    '%s asks for what there is',
    (_name, rule) => {
      expect(faultsOf(rule.expr)).toEqual([])
    },
  )

  test('name recorded figures that are recorded', () => {
    const asked = [...rules.map(({ expr }) => expr), ...panelExpressions()].flatMap(selectorsIn)
    const missing = asked.filter(({ metric }) => metric.includes(':') && !recorded.includes(metric))

    expect(missing).toEqual([])
  })

  test('tell in each alert how bad it is, what it is, and where the runbook says more', () => {
    const headings = [...readText('docs/runbook.md').matchAll(/^### (\w+)$/gm)].map(([, name]) => name)
    const alerts = rules.flatMap((rule) => (rule.alert ? [{ ...rule, alert: rule.alert }] : []))

    for (const { alert, labels, annotations } of alerts) {
      expect(['critical', 'warning', 'info'], alert).toContain(labels?.severity)
      expect(annotations?.summary, alert).toMatch(/\w/)
      expect(annotations?.description, alert).toMatch(/\.$/)
      expect(annotations?.runbook_url).toBe(`docs/runbook.md#${alert.toLowerCase()}`)
    }
    expect([...new Set(alerts.map(({ alert }) => alert))].sort()).toEqual([...headings].sort())
  })
})

const panelExpressions = () =>
  board.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => withVariables(expr)))
const withVariables = (expression: string) => expression.replaceAll('$__rate_interval', '5m').replace(/\$\w+/g, '.*')

describe('the board', () => {
  const drawn = board.panels.flatMap(({ title, targets = [] }) => targets.map((target) => [title, target] as const))

  test.each(drawn)('%s asks for what there is', (_title, { expr, legendFormat = '' }) => {
    expect(faultsOf(withVariables(expr))).toEqual([])
    const labels = [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label = '']) => label)
    const known = selectorsIn(expr).flatMap(({ metric }) => [...labelsOf(metric).keys()])
    for (const label of labels) expect([...known, ...TARGET_LABELS], expr).toContain(label)
  })

  test('has variables that are found', () => {
    const asked = board.templating.list.flatMap(({ definition }) => definition?.match(/label_values\((\w+)/)?.[1] ?? [])

    expect(asked.length).toBe(2)
    expect(asked.filter((metric) => !OF_PROMETHEUS.includes(metric) && !exported().has(metric))).toEqual([])
  })

  test('draws everything that an alert goes by', () => {
    const drawnMetrics = new Set(
      panelExpressions()
        .flatMap(selectorsIn)
        .map(({ metric }) => familyOf(metric)),
    )
    const watched = rules.flatMap(({ alert, expr }) => (alert ? selectorsIn(expr).filter(isOurs) : []))

    expect(watched.filter(({ metric }) => !drawnMetrics.has(familyOf(metric)))).toEqual([])
  })
})

describe('autoscalers', () => {
  const chart = readText('helm/templates/autoscaling.yaml')
  const kustomize = readText('k8s/components/autoscaling/autoscalers.yaml')
  const adapter = readText('deploy/monitoring/prometheus-adapter.yml')

  test.each<[Role, string, string | undefined]>([
    ['edge', 'wundr_ws_connections_active', undefined],
    ['worker', 'wundr_queue_depth', 'queue_name: inboxes'],
    ['worker', 'orchestrator_node_load', undefined],
  ])('of the %s go by %s, which it exports and the adapter serves', async (role, metric, selector) => {
    const { metricsPort } = daemons[ROLES.indexOf(role)] as Daemon
    // A figure that its beat tells is there with the first one.
    await vi.waitFor(async () => {
      expect((await readMetrics(metricsPort)).get(metric)?.series.size).toBeGreaterThan(0)
    })
    for (const text of [chart, kustomize]) {
      expect(text).toContain(`name: ${metric}`)
      if (selector) expect(text).toContain(selector)
    }
    expect(adapter).toContain(metric)
  })

  test('of KEDA ask Prometheus for what there is', () => {
    const queries = [...chart.matchAll(/query: (.+)$/gm)].map(([, query = '']) => query.replace(/\{\{.+?\}\}/g, '"x"'))

    expect(queries).toHaveLength(2)
    expect(queries.flatMap(faultsOf)).toEqual([])
  })
})
