/**
 * What differs between two readings of the settings, and what of it counts at once.
 */
import { expect, test } from 'vitest'
import { changesBetween, withLiveOf } from '../../../src/config/changes.js'
import { effectiveSettings } from '../../../src/config/describe.js'
import { renderEnvExample } from '../../../src/config/env-example.js'
import { loadConfig } from '../../../src/config/load.js'

const read = (env: Record<string, string>) => loadConfig({ flags: {}, env, cwd: '/nowhere' })

test('nothing differs between two readings of the same', () => {
  const env = { DAEMON_CORS_ORIGINS: 'http://a.example,http://b.example', REDIS_CLUSTER_NODES: 'a:1,b:2' }

  expect(changesBetween(read(env), read(env))).toEqual([])
})

test('each difference is told with what it was and is, in the order of the table, and secrets are not shown', () => {
  const before = read({ DAEMON_JWT_SECRET: 'the first secret of thirty-two letters', LOG_LEVEL: 'warn' })
  const after = read({
    DAEMON_JWT_SECRET: 'another secret of at least thirty-two',
    DAEMON_PORT: '1',
    LOG_FILE: 'daemon.log',
  })

  expect(changesBetween(before, after)).toEqual([
    { name: 'DAEMON_PORT', from: '8787', to: '1', live: false },
    { name: 'DAEMON_JWT_SECRET', from: 'set (hidden)', to: 'set (hidden)', live: true },
    { name: 'LOG_LEVEL', from: 'warn', to: 'info', live: true },
    { name: 'LOG_FILE', from: '-', to: 'daemon.log', live: false },
  ])
})

test('of new settings the live ones count, and the others stay as they were', () => {
  const merged = withLiveOf(read({}), read({ DAEMON_PORT: '1', LOG_LEVEL: 'warn', TOKEN_BUDGET_SESSION: '7' }))

  expect(merged.server.port).toBe(8787)
  expect(merged.logging.level).toBe('warn')
  expect(merged.budget).toMatchObject({ session: 7, daily: 1_000_000 })
  expect(Object.keys(merged).sort()).toEqual(Object.keys(read({})).sort())
})

test('what is live is said where settings are listed', () => {
  const live = effectiveSettings(read({})).filter((each) => each.live)

  expect(live.map(({ name }) => name)).toContain('LOG_LEVEL')
  expect(live.map(({ name }) => name)).not.toContain('DAEMON_PORT')
  expect(renderEnvExample()).toMatch(/one of debug, info, warn, error; live\)\n#LOG_LEVEL=info/)
})
