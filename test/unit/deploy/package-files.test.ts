/**
 * The package as npm would publish it: its programs, its scripts, and what its README tells people to copy or to run.
 */
import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

interface Manifest {
  readonly bin: Readonly<Record<string, string>>
  readonly scripts: Readonly<Record<string, string>>
}

const manifest = JSON.parse(readFileSync(`${ROOT}package.json`, 'utf8')) as Manifest

async function packed(): Promise<ReadonlySet<string>> {
  const { stdout } = await promisify(execFile)('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: ROOT,
  })
  const [{ files }] = JSON.parse(stdout) as [{ files: readonly { readonly path: string }[] }]
  return new Set(files.map(({ path }) => path))
}

test('C-23: every script of npm that the README of the reference names is there', () => {
  const named =
    'dev build build:watch clean test test:watch typecheck lint format format:check start start:dev docker:dev'.split(
      ' ',
    )

  expect(named.filter((name) => manifest.scripts[name] === undefined)).toEqual([])
})

test('C-24: the package holds what people are told to copy and to run', async () => {
  const files = await packed()

  for (const file of [
    ...['.env.example', 'README.md', 'LICENSE', 'docker-compose.yml', 'docker-compose.cluster.yml'],
    ...['scripts/health-check.sh', 'scripts/start.sh', 'scripts/install-service.sh'],
    ...['deploy/systemd/orchestrator-daemon.service', 'deploy/Dockerfile', 'deploy/compose.yml', 'deploy/haproxy.cfg'],
    ...['docs/deployment.md', 'src/main.ts', 'src/wundr.ts'],
  ]) {
    expect(files, file).toContain(file)
  }
  expect([...files].filter((file) => /^(test|loadtest|node_modules|\.ci)\//.test(file))).toEqual([])
})

test('each program of the package has a source, which is made executable by the build', () => {
  expect(Object.keys(manifest.bin).sort()).toEqual(['orchestrator-daemon', 'wundr', 'wundr-daemon'])
  for (const path of Object.values(manifest.bin)) {
    const source = `${ROOT}${path.replace('dist/', 'src/').replace('.js', '.ts')}`
    expect(existsSync(source), path).toBe(true)
    expect(readFileSync(source, 'utf8'), path).toMatch(/^#!\/usr\/bin\/env node\n/)
    expect(readFileSync(`${ROOT}scripts/copy-assets.mjs`, 'utf8'), path).toContain(path)
  }
})
