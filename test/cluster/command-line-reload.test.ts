/**
 * Settings of a running daemon, changed as an operator changes them: by saving a file, or with SIGHUP.
 */
import { appendFile, readdir, rename, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import type { ClusterProcess } from '../support/cluster-process.js'
import { Shell } from '../support/command-line.js'

const PATIENCE = { timeout: 15_000, interval: 20 } as const
const MB = 1_048_576
const CHANGED = 'a setting has changed'

async function shellWith(settings: Readonly<Record<string, string>> = {}) {
  const shell = await Shell.open({ DAEMON_PORT: '0', ...settings })
  onTestFinished(() => shell.close())
  return { shell, file: (name: string) => join(shell.folder, name) }
}

const linesOf = (daemon: ClusterProcess, words: string): Record<string, unknown>[] =>
  daemon.lines.filter((line) => line.includes(words)).map((line) => JSON.parse(line) as Record<string, unknown>)

const says = (daemon: ClusterProcess, words: string) => vi.waitUntil(() => linesOf(daemon, words).at(-1), PATIENCE)

test('FILES: a settings file that is saved counts at once, options still count more, and what must wait is named', async () => {
  const { shell, file } = await shellWith()
  await writeFile(file('settings.yaml'), 'openai: { model: one }\n')
  const daemon = await shell.startDaemon('--config', 'settings.yaml', '--max-sessions', '9')

  await writeFile(file('settings.yaml'), 'openai: { model: two }\nmaxSessions: 3\nname: other\n')

  expect(await says(daemon, CHANGED)).toMatchObject({ setting: 'OPENAI_MODEL', from: 'one', to: 'two' })
  expect(await says(daemon, 'count from the next start on')).toMatchObject({ settings: ['DAEMON_NAME'] })
  expect(linesOf(daemon, CHANGED)).toHaveLength(1)
})

test('.env counts when it is saved, and a session that works meanwhile is not disturbed', async () => {
  const { shell, file } = await shellWith()
  const daemon = await shell.startDaemon()
  const [, port = ''] = await daemon.waitForLine(/"port":(\d+).*"msg":"ready"/)
  const task = JSON.stringify({ count: 60, bytes: 8, delayMs: 50 })
  const session = shell.launch('spawn', task, '--type', 'echo', '--port', port)
  await session.prints('5.....')

  await appendFile(file('.env'), 'LOG_LEVEL=debug\n')

  expect(await says(daemon, CHANGED)).toMatchObject({ setting: 'LOG_LEVEL', from: 'info', to: 'debug' })
  const { code, stdout } = await session.ended
  expect(code).toBe(0)
  expect(stdout.match(/\d+\.{2,}/g)).toHaveLength(60)
})

test('settings that are wrong change nothing, and the log says which; right ones then count', async () => {
  const { shell, file } = await shellWith()
  await writeFile(file('settings.json5'), '{ logging: { level: "info" } }')
  const daemon = await shell.startDaemon('--config', 'settings.json5')

  await writeFile(file('settings.json5'), '{ logging: { level: "loud" }, openai: { model: "x" } }')
  const wrong = await says(daemon, 'are not right')
  await writeFile(file('settings.json5'), '{ logging: { level: "debug" } }')
  await says(daemon, CHANGED)

  expect(wrong).toMatchObject({
    level: 'error',
    mistakes: ['logging.level in settings.json5 must be one of debug, info, warn, error, not "loud"'],
  })
  expect(linesOf(daemon, CHANGED)).toEqual([expect.objectContaining({ setting: 'LOG_LEVEL', to: 'debug' })])
})

test('SIGHUP reads everything anew at once, also where the daemon is the second of two processes', async () => {
  for (const settings of [{}, { DAEMON_MAX_HEAP_MB: '400' }]) {
    const { shell, file } = await shellWith(settings)
    const daemon = await shell.startDaemon()
    daemon.kill('SIGHUP')
    expect(await says(daemon, 'reading the settings anew')).toMatchObject({ cause: 'SIGHUP' })

    await appendFile(file('.env'), 'DAEMON_AUTH_MAX_CONNECTIONS=3\n')
    daemon.kill('SIGHUP')

    expect(await says(daemon, CHANGED)).toMatchObject({ setting: 'DAEMON_AUTH_MAX_CONNECTIONS', to: '3' })
    daemon.kill('SIGTERM')
    expect(await daemon.ended).toBe(0)
  }
})

test('LOG_MAX_SIZE and LOG_MAX_FILES count from the next line on', async () => {
  const { shell, file } = await shellWith({ LOG_FILE: 'daemon.log', LOG_MAX_SIZE: '3', LOG_MAX_FILES: '9' })
  await writeFile(file('daemon.log'), 'x'.repeat(2 * MB))
  for (const number of [1, 2, 3]) await writeFile(file(`daemon.${number}.log`), `${number}\n`)
  const daemon = await shell.startDaemon()
  expect((await stat(file('daemon.log'))).size).toBeGreaterThan(2 * MB)

  await appendFile(file('.env'), 'LOG_MAX_SIZE=1\nLOG_MAX_FILES=2\n')
  await says(daemon, CHANGED)

  const logs = async () => (await readdir(shell.folder)).filter((name) => name.endsWith('.log')).sort()
  await vi.waitFor(async () => expect(await logs()).toEqual(['daemon.1.log', 'daemon.log']), PATIENCE)
  expect((await stat(file('daemon.1.log'))).size).toBeGreaterThan(2 * MB)
})

test('a log file that is moved away goes on in a new one after SIGHUP', async () => {
  const { shell, file } = await shellWith({ LOG_FILE: 'daemon.log', LOG_ROTATION_ENABLED: 'false' })
  const daemon = await shell.startDaemon()
  await rename(file('daemon.log'), file('moved.log'))

  daemon.kill('SIGHUP')

  await vi.waitFor(async () => expect((await stat(file('daemon.log'))).size).toBeGreaterThan(0), PATIENCE)
})
