/**
 * Settings that come over the wire while a process runs: which of them can be set, and what is said of the others.
 */
import { expect, test } from 'vitest'
import { judgeSettings } from '../../../src/config/asked.js'
import { allSettings } from '../../../src/config/schema.js'

test.each(
  allSettings()
    .filter(({ setting }) => setting.live && !setting.secret && !setting.file)
    .map(({ setting }) => setting),
)('$env is live, and can be set as the file would say it', ({ env, fallback, kind }) => {
  const value = fallback ?? ['1000', '1'].find((text) => kind.type.safeParse(text).success)
  const { live, needRestart, mistakes } = judgeSettings({ [env]: value })

  expect([[...live.keys()], needRestart, mistakes]).toEqual([[env], [], []])
})

test('values are JSON, and judged by the schema of the setting', () => {
  const { live, mistakes } = judgeSettings({
    ...{ DAEMON_MAX_SESSIONS: 5, DAEMON_RATE_LIMIT_ENABLED: false, OPENAI_MODEL: ' gpt-5 ', LOG_LEVEL: null },
    ...{ DAEMON_AUTH_MAX_CONNECTIONS: 0, TOKEN_BUDGET_ALERT_THRESHOLD: '2', DEBUG: { a: 1 } },
  })

  expect(Object.fromEntries(live)).toEqual({
    ...{ DAEMON_MAX_SESSIONS: 5, DAEMON_RATE_LIMIT_ENABLED: false, OPENAI_MODEL: 'gpt-5', LOG_LEVEL: undefined },
    DEBUG: false,
  })
  expect(mistakes).toEqual([
    'DAEMON_AUTH_MAX_CONNECTIONS must be a whole number from 1 to 100000',
    'TOKEN_BUDGET_ALERT_THRESHOLD must be a number from 0 to 1, such as 0.8',
  ])
})

test('what is read at the start alone needs a restart, and is judged all the same', () => {
  expect(judgeSettings({ DAEMON_PORT: 9090 })).toMatchObject({ needRestart: ['DAEMON_PORT'], mistakes: [] })
  expect(judgeSettings({ DAEMON_PORT: 'x' })).toMatchObject({ needRestart: [], mistakes: [expect.any(String)] })
})

test.each(['DAEMON_JWT_SECRET', 'DAEMON_AUTH_API_KEYS', 'CHARTER_FILE', 'TOKEN_PRICES_FILE', 'DATABASE_URL'])(
  '%s opens what is not one tenant’s, or names a file: it is set where the node runs',
  (name) => {
    const secret = 'x'.repeat(40)
    const { live, mistakes } = judgeSettings({ [name]: null, DAEMON_JWT_PREVIOUS_SECRETS: JSON.stringify([secret]) })

    expect(live.size).toBe(0)
    expect(mistakes[0]).toBe(`${name} is set where the node runs, and nowhere else`)
    expect(mistakes.join()).not.toContain(secret)
  },
)

test('a name that is none is told, with the one that was meant', () => {
  expect(judgeSettings({ LOG_LEVLE: 'debug' }).mistakes).toEqual([
    'LOG_LEVLE is not a setting (did you mean LOG_LEVEL?)',
  ])
})
