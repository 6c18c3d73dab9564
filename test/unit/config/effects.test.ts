/**
 * Every setting has a test that it takes effect, or says that nothing uses it yet.
 * Row ENV of docs/compatibility.md.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { allSettings } from '../../../src/config/schema.js'

const TESTS = fileURLToPath(new URL('../..', import.meta.url))

/** Tested for effect beside what uses them, in files that name the setting or the option that carries it. */
const ELSEWHERE: Readonly<Record<string, readonly [file: string, named: string]>> = {
  APPROVAL_TIMEOUT: ['integration/approvals.test.ts', 'approvalTimeoutMs'],
  DAEMON_ROLE: ['cluster/command-line.test.ts', '--role'],
  DAEMON_SHUTDOWN_TIMEOUT: ['unit/lifecycle.test.ts', 'DAEMON_SHUTDOWN_TIMEOUT'],
  DRAIN_TIMEOUT: ['integration/planned-move.test.ts', 'drainTimeoutMs'],
  MIGRATION_TIMEOUT: ['unit/coordinator/reassignment.test.ts', 'migrationTimeoutMs'],
  FEDERATION_PORT: ['unit/config/settings.test.ts', 'FEDERATION_PORT has no effect'],
  CLAUDE_MAX_PROCESSES: ['unit/runtimes/live-processes.test.ts', 'CLAUDE_MAX_PROCESSES'],
  CLAUDE_IDLE_TIMEOUT: ['unit/runtimes/live-processes.test.ts', 'CLAUDE_IDLE_TIMEOUT'],
  LOAD_BALANCING_STRATEGY: ['unit/shards/placement.test.ts', 'LOAD_BALANCING_STRATEGIES'],
  MEMORY_EPISODIC_DAYS: ['contract/storage/memory-events.test.ts', 'episodicDays'],
  MEMORY_EMBEDDING_MODEL: ['contract/storage/memory-vectors.test.ts', 'embeddingModel'],
  MEMORY_EMBEDDING_DIMENSIONS: ['contract/storage/memory-vectors.test.ts', 'embeddingDimensions'],
  MEMORY_EMBEDDING_BASE_URL: ['contract/storage/memory-vectors.test.ts', 'embeddingUrl'],
  WEB_FETCH_ALLOW_PRIVATE: ['unit/tools/web-fetch.test.ts', 'allowPrivateNetwork'],
}

/** Settings that are named in calls of `effect`, in all files of tests of settings. */
function tested(): ReadonlySet<string> {
  const files = readdirSync(TESTS, { recursive: true, encoding: 'utf8' }).filter((file) =>
    /(^|\/)settings-[a-z-]+\.test\.ts$/.test(file),
  )
  const calls = files.flatMap((file) => [...read(file).matchAll(/effect\(\s*\[([^\]]+)\]/g)])
  return new Set(calls.flatMap(([, names = '']) => [...names.matchAll(/'([A-Z_]+)'/g)].map(([, name = '']) => name)))
}

const read = (file: string): string => readFileSync(join(TESTS, file), 'utf8')
const names = (pending: boolean): string[] =>
  allSettings()
    .filter(({ setting }) => (setting.pending !== undefined) === pending)
    .map(({ setting }) => setting.env)

test('every setting that is not pending is tested for its effect', () => {
  const seen = tested()

  expect(seen.size).toBeGreaterThan(30)
  expect(names(false).filter((name) => !seen.has(name) && ELSEWHERE[name] === undefined)).toEqual([])
})

test('no setting that is pending is tested for an effect, and no name is made up', () => {
  const known = new Set(names(false))

  expect([...tested(), ...Object.keys(ELSEWHERE)].filter((name) => !known.has(name))).toEqual([])
})

test.each(Object.entries(ELSEWHERE))('%s is tested where it is said to be', (_name, [file, named]) => {
  expect(read(file).includes(named)).toBe(true)
})
