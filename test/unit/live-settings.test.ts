/**
 * Settings that change while a process runs: all of them at once or none, one reload after the other.
 */
import { expect, test, vi } from 'vitest'
import { LiveSettings } from '../../src/assembly/live-settings.js'
import { loadConfig } from '../../src/config/load.js'

const read = (env: Record<string, string> = {}) => loadConfig({ flags: {}, env, cwd: '/nowhere' })

function fixture(env: Record<string, string> = {}) {
  const lines: { level: string; fields: object; text: string }[] = []
  const note = (level: string) => (fields: object, text: string) => void lines.push({ level, fields, text })
  const log = { debug: note('debug'), info: note('info'), warn: note('warn'), error: note('error'), child: () => log }
  return { settings: new LiveSettings(read(env), log), lines }
}

test('a part that reads a section when it needs it sees what counts then', async () => {
  const { settings } = fixture()
  const { view } = settings
  const model = () => view.openai.model

  await settings.reload(read({ OPENAI_MODEL: 'gpt-5' }))

  expect(model()).toBe('gpt-5')
})

test('listeners hear what is now and what was, and nothing where nothing live has changed', async () => {
  const { settings, lines } = fixture()
  const heard = vi.fn()
  settings.onChanged((now, before) => heard(now.openai.model, before.openai.model))

  await settings.reload(read())
  await settings.reload(read({ DAEMON_PORT: '1' }))
  expect(heard).not.toHaveBeenCalled()
  await settings.reload(read({ OPENAI_MODEL: 'gpt-5' }))

  expect(heard.mock.calls).toEqual([['gpt-5', 'gpt-4o-mini']])
  expect(lines.map(({ level, text }) => `${level} ${text}`)).toEqual([
    'warn these settings have changed and count from the next start on',
    'info a setting has changed',
  ])
})

test('a setting that waits for the next start is measured against the start, however often it changes', async () => {
  const { settings } = fixture()
  await settings.reload(read({ DAEMON_PORT: '1' }))

  expect((await settings.reload(read({ DAEMON_PORT: '2' }))).waiting).toEqual(['DAEMON_PORT'])
  expect((await settings.reload(read())).waiting).toEqual([])
})

test('a file that cannot be read keeps every setting as it is', async () => {
  const { settings, lines } = fixture()
  const adopt = vi.fn()
  const other = vi.fn()
  settings.watch({ name: 'GOOD_FILE', read: () => Math.random(), adopt: other }, 1)
  settings.watch(
    {
      name: 'BAD_FILE',
      read: async () => {
        throw new Error('bad.yaml, line 3: no')
      },
      adopt,
    },
    1,
  )

  const reloaded = await settings.reload(read({ OPENAI_MODEL: 'gpt-5', DAEMON_PORT: '1' }))

  expect(reloaded).toEqual({ refused: 'bad.yaml, line 3: no', changed: [], waiting: ['DAEMON_PORT'] })
  expect(settings.view.openai.model).toBe('gpt-4o-mini')
  expect([adopt, other].some(({ mock }) => mock.calls.length > 0)).toBe(false)
  expect(lines).toEqual([
    { level: 'error', fields: { reason: 'bad.yaml, line 3: no' }, text: expect.stringContaining('were not changed') },
  ])
})

test('a file is adopted when its content has changed, also where no setting has', async () => {
  const { settings } = fixture()
  let content = new Map([['a', 1]])
  const adopt = vi.fn()
  settings.watch({ name: 'A_FILE', read: () => new Map(content), adopt }, new Map(content))

  expect((await settings.reload(read())).changed).toEqual([])
  content = new Map([['a', 2]])
  expect((await settings.reload(read())).changed).toEqual(['A_FILE'])
  expect((await settings.reload(read())).changed).toEqual([])

  expect(adopt).toHaveBeenCalledTimes(1)
})

test('reloads that come together are done one after the other, and the last one counts', async () => {
  const { settings } = fixture()
  const order: string[] = []
  settings.watch(
    {
      name: 'SLOW_FILE',
      read: async ({ openai }) => {
        order.push(`reads ${openai.model}`)
        await new Promise((resolve) => setTimeout(resolve, 5))
        return openai.model
      },
      adopt: (model) => void order.push(`adopts ${model}`),
    },
    '',
  )

  await Promise.all([settings.reload(read({ OPENAI_MODEL: 'a' })), settings.reload(read({ OPENAI_MODEL: 'b' }))])

  expect(order).toEqual(['reads a', 'adopts a', 'reads b', 'adopts b'])
  expect(settings.view.openai.model).toBe('b')
})

const cause = { actor: 'acme/root', by: 'config.set' }
const setting = (values: Record<string, unknown>) => new Map(Object.entries(values))

test('what was set lies over what was read, until another value is read there', async () => {
  const { settings } = fixture()
  const model = () => settings.view.openai.model
  await settings.set(setting({ OPENAI_MODEL: 'set' }), { merge: true, cause })

  await settings.reload(read({ ANTHROPIC_MODEL: 'other' }))
  expect(model(), 'nothing new was read about it').toBe('set')
  await settings.reload(read({ OPENAI_MODEL: 'read' }))
  expect(model()).toBe('read')
  await settings.reload(read({ OPENAI_MODEL: 'read', ANTHROPIC_MODEL: 'third' }))
  expect(model(), 'and what was set does not come back').toBe('read')
})

test('what was set is taken back by name, or by setting others instead', async () => {
  const { settings } = fixture({ OPENAI_MODEL: 'read' })
  const models = () => [settings.view.openai.model, settings.view.anthropic.model]
  const [, first] = models()
  await settings.set(setting({ OPENAI_MODEL: 'a', ANTHROPIC_MODEL: 'b' }), { merge: true, cause })
  expect(models()).toEqual(['a', 'b'])

  await settings.set(setting({ OPENAI_MODEL: undefined }), { merge: true, cause })
  expect(models()).toEqual(['read', 'b'])
  await settings.set(setting({ OPENAI_MODEL: 'c' }), { merge: false, cause })
  expect(models()).toEqual(['c', first])
})

test('settings that do not fit together are refused, and nothing of them counts', async () => {
  const { settings } = fixture()
  const before = settings.view.budget

  const asked = setting({ TOKEN_BUDGET_DAILY: 10_000_000, TOKEN_BUDGET_SESSION: 7 })
  const { refused } = await settings.set(asked, { merge: true, cause })
  await settings.set(setting({ OPENAI_MODEL: 'later' }), { merge: true, cause })

  expect(refused).toContain('TOKEN_BUDGET_WEEKLY must be at least TOKEN_BUDGET_DAILY')
  expect(settings.view.budget).toEqual(before)
})

test('what waits for the next start is said when it is read, and not with every setting that is set', async () => {
  const { settings, lines } = fixture()
  await settings.reload(read({ DAEMON_PORT: '1' }))
  await settings.set(setting({ OPENAI_MODEL: 'set' }), { merge: true, cause })

  expect(lines.filter(({ level }) => level === 'warn')).toHaveLength(1)
})

test('every change is told with its cause, whether it was read or set, and no refused one', async () => {
  const { settings } = fixture()
  const told = vi.fn()
  settings.onAdopted(told)

  await settings.set(setting({ LOG_LEVEL: 'debug' }), { merge: true, cause })
  await settings.set(setting({ TOKEN_BUDGET_DAILY: 10_000_000 }), { merge: true, cause })
  await settings.reload(read({ LOG_LEVEL: 'warn' }), { actor: 'operator', by: 'SIGHUP' })
  await settings.reload(read({ LOG_LEVEL: 'warn' }))

  const change = (from: string, to: string) => [{ name: 'LOG_LEVEL', from, to, live: true }]
  expect(told.mock.calls.flat()).toEqual([
    { cause, changes: change('info', 'debug'), files: [] },
    { cause: { actor: 'operator', by: 'SIGHUP' }, changes: change('debug', 'warn'), files: [] },
  ])
})
