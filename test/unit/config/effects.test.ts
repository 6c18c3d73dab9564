/**
 * Every setting has a test that it takes effect, and every live one that a change does.
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

/** Tested for their effect while the daemon runs, beside what uses them. */
const LIVE_ELSEWHERE: Readonly<Record<string, readonly [file: string, named: string]>> = {
  LOG_MAX_SIZE: ['cluster/command-line-reload.test.ts', 'LOG_MAX_SIZE'],
  LOG_MAX_FILES: ['cluster/command-line-reload.test.ts', 'LOG_MAX_FILES'],
  CLAUDE_MAX_PROCESSES: ['unit/runtimes/live-processes.test.ts', 'limits that change'],
  CLAUDE_IDLE_TIMEOUT: ['unit/runtimes/live-processes.test.ts', 'limits that change'],
}

/** Settings that are named in calls of `call`, in all files of tests of settings. */
function tested(call: 'effect' | 'liveEffect' = 'effect'): ReadonlySet<string> {
  const files = readdirSync(TESTS, { recursive: true, encoding: 'utf8' }).filter((file) =>
    /(^|\/)settings-[a-z-]+\.test\.ts$/.test(file),
  )
  const calls = files.flatMap((file) =>
    [...read(file).matchAll(/\b(\w+)\(\s*\[([^\]]+)\]/g)].filter(([, name]) => name === call),
  )
  return new Set(calls.flatMap(([, , names = '']) => [...names.matchAll(/'([A-Z_]+)'/g)].map(([, name = '']) => name)))
}

const read = (file: string): string => readFileSync(join(TESTS, file), 'utf8')
const names = (): string[] => allSettings().map(({ setting }) => setting.env)

test('ENV: every setting is tested for its effect', () => {
  const seen = tested()

  expect(seen.size).toBeGreaterThan(30)
  expect(names().filter((name) => !seen.has(name) && ELSEWHERE[name] === undefined)).toEqual([])
})

test('no name is made up', () => {
  const known = new Set(names())

  expect([...tested(), ...Object.keys(ELSEWHERE)].filter((name) => !known.has(name))).toEqual([])
})

test('every setting that is live is tested for its effect while the daemon runs, and no other one', () => {
  const live = allSettings().flatMap(({ setting }) => (setting.live ? [setting.env] : []))
  const seen = new Set([...tested('liveEffect'), ...Object.keys(LIVE_ELSEWHERE)])

  expect([...seen].sort()).toEqual([...live].sort())
})

test.each([...Object.entries(ELSEWHERE), ...Object.entries(LIVE_ELSEWHERE)])(
  '%s is tested where it is said to be',
  (_name, [file, named]) => {
    expect(read(file).includes(named)).toBe(true)
  },
)
