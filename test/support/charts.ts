/**
 * Chart and kustomize as the tools render them.
 */
import type { TestContext } from 'vitest'
import type { KubernetesObject } from '../../scripts/charts/validate.js'
import { filesUnder, needTool, outputOf, parseYaml, runTool } from './deployment-files.js'
import type { Manifest } from './manifest-faults.js'

export type Rendered = Manifest & KubernetesObject

export type Helm = 'helm' | 'helm4'

/** `helm4` is found where somebody has put the next major version beside the one in use. */
export const HELMS: readonly Helm[] = runTool('helm4', ['version']).status === 0 ? ['helm', 'helm4'] : ['helm']

/** Names of the sets of values that the chart is rendered with: `helm/ci/<name>-values.yaml`. */
export const VALUE_SETS: readonly string[] = filesUnder('helm/ci', '-values.yaml').map((path) =>
  path.replace(/^helm\/ci\/(.+)-values\.yaml$/, '$1'),
)

/** The release has the name of the objects in `k8s`, so that both can be compared. */
const RELEASE = 'orchestrator-daemon'
const NAMESPACE = 'orchestrator'

export const needHelm = (context: TestContext, helm: Helm = 'helm') => needTool(context, helm, 'version', '--short')
export const needKubectl = (context: TestContext) => needTool(context, 'kubectl', 'version', '--client')

/** Skips the test, saying so, where the schemas could not be had. */
export function needSchemas(context: TestContext): string {
  const { CHART_SCHEMAS } = process.env
  if (CHART_SCHEMAS !== undefined) return CHART_SCHEMAS
  process.stderr.write(`SKIPPED "${context.task.name}": there are no schemas to judge by\n`)
  return context.skip('there are no schemas to judge by')
}

export const valuesFile = (set: string): readonly string[] => ['-f', `helm/ci/${set}-values.yaml`]

export const template = (values: readonly string[], helm: Helm = 'helm', chart = 'helm') =>
  runTool(helm, ['template', RELEASE, chart, '--namespace', NAMESPACE, ...values])

/** Objects of the chart. @throws what helm says. */
export const chartObjects = (values: readonly string[], helm: Helm = 'helm', chart = 'helm'): Rendered[] =>
  parseYaml(outputOf(template(values, helm, chart))) as Rendered[]

/** Objects of a folder of `k8s`. @throws what kubectl says. */
export const kustomizeObjects = (folder: string): Rendered[] =>
  parseYaml(outputOf(runTool('kubectl', ['kustomize', folder]))) as Rendered[]
