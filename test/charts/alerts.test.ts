/**
 * Prometheus takes rules and configuration, and alerts fire when they should and at no other time.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, type TestContext, test } from 'vitest'
import { needTool, outputOf, parseYaml, readText, runTool } from '../support/deployment-files.js'

const RULES = 'deploy/monitoring/rules.yml'

const needPromtool = (context: TestContext) => needTool(context, 'promtool', '--version')

test('Prometheus takes the rules', (context) => {
  needPromtool(context)

  outputOf(runTool('promtool', ['check', 'rules', '--lint=all', '--lint-fatal', RULES]))
})

test('Prometheus takes the configuration of the compose cluster', (context) => {
  needPromtool(context)
  const folder = mkdtempSync(join(tmpdir(), 'prometheus-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  // Where the container has the rules, this machine has none.
  const config = readText('deploy/monitoring/prometheus.yml').replace(
    '/etc/prometheus/rules.yml',
    join(process.cwd(), RULES),
  )
  writeFileSync(join(folder, 'prometheus.yml'), config)

  const said = outputOf(runTool('promtool', ['check', 'config', join(folder, 'prometheus.yml')]))

  expect(said).toMatch(/1 rule files found/)
})

test('alerts fire when they should, and are silent before and after', (context) => {
  needPromtool(context)

  const { status, stdout, stderr } = runTool('promtool', ['test', 'rules', 'test/charts/alerts.yml'])

  expect(`${stdout}${stderr}`).toContain('SUCCESS')
  expect(status).toBe(0)
})

test('a scrape has longer than a store may take to answer', () => {
  const [config] = parseYaml(readText('deploy/monitoring/prometheus.yml')) as { global: Record<string, string> }[]

  expect(Number.parseInt(config?.global.scrape_timeout ?? '', 10)).toBeGreaterThan(5)
  expect(readText('helm/values.yaml')).toMatch(/scrapeTimeout: (?:[6-9]|\d\d)s/)
})
