/**
 * Gets the tools that judge charts, once for a run: tests find them by PATH, and the schemas by CHART_SCHEMAS.
 */
import { spawnSync } from 'node:child_process'
import { getTools } from '../../scripts/charts/tools.js'

export default async function setup(): Promise<() => void> {
  const before = process.env.PATH
  const { path, schemas } = await getTools()
  process.env.PATH = path
  if (schemas !== undefined) process.env.CHART_SCHEMAS = schemas
  // It takes minutes to make: `go install helm.sh/helm/v4/cmd/helm@v4.3.1`, and a copy called helm4 where PATH leads.
  if (spawnSync('helm4', ['version']).status !== 0) {
    process.stderr.write('There is no helm4 here: charts are judged by the helm in use alone.\n')
  }
  return () => {
    process.env.PATH = before
    delete process.env.CHART_SCHEMAS
  }
}
