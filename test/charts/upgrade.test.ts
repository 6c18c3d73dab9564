/**
 * An upgrade from the chart before this one changes nothing that Kubernetes does not let be changed. "Before" is the last
 * tag, or where there is none the last commit whose chart has another version.
 */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, type TestContext, test } from 'vitest'
import { chartObjects, kustomizeObjects, needHelm, needKubectl, type Rendered } from '../support/charts.js'
import { outputOf, parseYaml, readText, runTool } from '../support/deployment-files.js'
import { forbiddenChanges } from '../support/manifest-comparison.js'

/** More commits of chart and kustomize than these are not looked at. */
const MAX_COMMITS = 200

const git = (...args: string[]) => runTool('git', args)
const versionIn = (text: string) => (parseYaml(text)[0] as { version: string }).version

/** The commit of the chart before this one; undefined in a copy without history. */
function commitBefore(): string | undefined {
  const tag = git('describe', '--tags', '--abbrev=0', 'HEAD').stdout?.trim()
  if (tag) return tag
  const commits = git('log', `--max-count=${MAX_COMMITS}`, '--format=%H', '--', 'helm', 'k8s').stdout ?? ''
  const current = versionIn(readText('helm/Chart.yaml'))
  return commits.split('\n').find((commit) => {
    const { status, stdout } = git('show', `${commit}:helm/Chart.yaml`)
    return status === 0 && versionIn(stdout) !== current
  })
}

/** A folder with helm/ and k8s/ of that commit. */
function checkout(context: TestContext): string {
  const commit = commitBefore()
  if (commit === undefined) {
    process.stderr.write(`SKIPPED "${context.task.name}": this copy has no history with another chart in it\n`)
    return context.skip('no history with another chart in it')
  }
  const folder = mkdtempSync(join(tmpdir(), 'chart-before-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  outputOf(git('archive', '--output', join(folder, 'before.tar'), commit, 'helm', 'k8s'))
  const { status } = spawnSync('tar', ['xf', 'before.tar'], { cwd: folder })
  expect(status).toBe(0)
  return folder
}

test.for([
  ['bundled stores', ['redis.bundled=true', 'postgres.bundled=true']],
  ['stores elsewhere', ['ingress.enabled=true', 'ingress.host=agents.example.com']],
] as const)('an upgrade of the chart with %s changes no field that is fixed', ([, values], context) => {
  needHelm(context)
  const before = checkout(context)
  const set = ['secret.name=s', ...values].flatMap((value) => ['--set', value])

  const [old, current] = [chartObjects(set, 'helm', join(before, 'helm')), chartObjects(set)]

  expect(old.length).toBeGreaterThan(5)
  expect(forbiddenChanges(old, current)).toEqual([])
})

test('an upgrade by kustomize changes no field that is fixed', (context) => {
  needKubectl(context)
  const before = checkout(context)

  const [old, current] = [kustomizeObjects(join(before, 'k8s/overlays/kind')), kustomizeObjects('k8s/overlays/kind')]

  expect(old.length).toBeGreaterThan(5)
  expect(forbiddenChanges(old, current)).toEqual([])
})

test.for<[sentence: string, change: (object: Rendered) => unknown]>([
  ['StatefulSet orchestrator-daemon-worker: serviceName has changed', (it) => ({ ...it.spec, serviceName: 'other' })],
  ['StatefulSet orchestrator-daemon-worker: selector has changed', (it) => ({ ...it.spec, selector: {} })],
  [
    'StatefulSet orchestrator-daemon-redis: volumeClaimTemplates has changed',
    (it) => ({ ...it.spec, volumeClaimTemplates: [] }),
  ],
  [
    'Deployment orchestrator-daemon-edge: selector has changed',
    (it) => ({ ...it.spec, selector: { matchLabels: {} } }),
  ],
  ['Service orchestrator-daemon-worker: clusterIP has changed', (it) => ({ ...it.spec, clusterIP: undefined })],
])('such a change is found: %s', ([sentence, change], context) => {
  needHelm(context)
  const objects = chartObjects(['--set', 'secret.name=s', '--set', 'redis.bundled=true'])

  const changed = objects.map((object) =>
    sentence.startsWith(`${object.kind} ${object.metadata.name}:`) ? { ...object, spec: change(object) } : object,
  ) as Rendered[]

  expect(forbiddenChanges(objects, changed)).toEqual([sentence])
  expect(forbiddenChanges(objects, [])).toContain('StatefulSet orchestrator-daemon-worker is gone')
})
