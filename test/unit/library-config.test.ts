/**
 * What a program passes to the daemon, and how it meets the environment.
 */
import { expect, test } from 'vitest'
import { OrchestratorDaemon } from '../../src/index.js'
import { type OrchestratorDaemonConfig, readDaemonConfig } from '../../src/library/daemon-config.js'

const NOWHERE = '/nonexistent'
const read = (given: OrchestratorDaemonConfig, env: NodeJS.ProcessEnv = {}) => readDaemonConfig(given, env, NOWHERE)

test('every field of the documented configuration arrives', () => {
  const config = read({
    name: 'node-a',
    port: 9999,
    host: 'localhost',
    maxSessions: 7,
    heartbeatInterval: 5_000,
    shutdownTimeout: 3_000,
    verbose: true,
    logLevel: 'warn',
  })

  expect(config.server).toMatchObject({
    name: 'node-a',
    port: 9999,
    host: 'localhost',
    maxSessions: 7,
    heartbeatIntervalMs: 5_000,
    shutdownTimeoutMs: 3_000,
    verbose: true,
  })
  expect(config.logging.level).toBe('warn')
})

test('what the program passes comes before the environment, under whichever name the environment says it', () => {
  const config = read(
    { port: 9999, MAX_SESSIONS: 7, REDIS_URL: '' },
    { DAEMON_PORT: '1111', DAEMON_MAX_SESSIONS: '3', REDIS_URL: 'redis://elsewhere', OPENAI_MODEL: 'from-env' },
  )

  expect(config.server).toMatchObject({ port: 9999, maxSessions: 7 })
  expect(config.redis.url).toBeUndefined()
  expect(config.openai.model).toBe('from-env')
})

test('a field that is undefined is a field that is left out', () => {
  const port = undefined as unknown as number

  expect(read({ port }, { DAEMON_PORT: '1111' }).server.port).toBe(1111)
})

test('all mistakes are named at once, by a sentence each', () => {
  const wrong = { prot: 8787, TYPO_URL: 'x' } as OrchestratorDaemonConfig

  expect(() => read(wrong)).toThrow(
    'prot is no setting; .env.example lists all of them\nTYPO_URL is no setting; .env.example lists all of them',
  )
  expect(() => new OrchestratorDaemon({ port: 99_999, maxSessions: 0 })).toThrow(
    /DAEMON_PORT must be .*, not "99999"\nDAEMON_MAX_SESSIONS must be .*, not "0"/,
  )
})
