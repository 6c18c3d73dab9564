/**
 * The program `wundr`: its daemon in the background, with settings, pid and log in the home directory.
 */
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { Shell } from '../support/command-line.js'
import { freePort } from '../support/free-port.js'

const PATIENCE = { timeout: 15_000, interval: 50 } as const

async function shellOf(settings: Readonly<Record<string, string>> = {}) {
  const shell = await Shell.open(settings)
  onTestFinished(async () => {
    await shell.wundr('orchestrator', 'stop', '--force')
    await shell.close()
  })
  const own = (name: string) => join(shell.folder, '.wundr/orchestrator-daemon', name)
  return { shell, own, orchestrator: (...args: string[]) => shell.wundr('orchestrator', ...args) }
}

test('WUNDR: start --detach, status, logs, config and stop look after one daemon of the user', async () => {
  const { own, orchestrator } = await shellOf()
  const port = await freePort()
  expect((await orchestrator('config', 'set', `daemon.port=${port}`)).code).toBe(0)
  expect(await orchestrator()).toMatchObject({ code: 1, stdout: expect.stringContaining('stopped') })

  const started = await orchestrator('start', '--detach')
  expect(started).toMatchObject({ code: 0, stdout: expect.stringContaining(`runs on port ${port}`) })
  expect(started.stdout).toContain(own('daemon.log'))
  expect(Number.parseInt(await readFile(own('daemon.pid'), 'utf8'), 10)).toBeGreaterThan(0)
  const status = await orchestrator('status', '--json')
  // Degraded, because no model can be called.
  expect([status.code, JSON.parse(status.stdout).status]).toEqual([0, 'degraded'])
  expect((await orchestrator('logs', '-n', '20')).stdout).toContain('ready')

  expect(await orchestrator('stop', '-t', '10000')).toMatchObject({
    code: 0,
    stdout: expect.stringContaining('stopped'),
  })
  expect((await orchestrator('status')).code).toBe(1)
  expect((await orchestrator('logs', '-n', '50')).stdout, 'the log stays').toContain('ready')
})

test('config set counts for the daemon that runs, and reset takes it back', async () => {
  const { orchestrator, own } = await shellOf({ DAEMON_PORT: '0' })
  await orchestrator('start', '-d')
  const seen = async (words: string) =>
    vi.waitFor(async () => expect(await readFile(own('daemon.log'), 'utf8')).toContain(words), PATIENCE)

  await orchestrator('config', 'set', 'openai.model=gpt-of-this-test')
  await seen('"setting":"OPENAI_MODEL","from":"gpt-4o-mini","to":"gpt-of-this-test"')
  expect((await stat(own('config.yaml'))).mode & 0o777).toBe(0o600)
  const shown = JSON.parse((await orchestrator('config', 'show', '--json')).stdout) as { name: string; value: string }[]
  expect(shown.find(({ name }) => name === 'OPENAI_MODEL')).toMatchObject({
    ...{ value: 'gpt-of-this-test', source: 'file', live: true },
  })

  expect(await orchestrator('config', 'reset')).toMatchObject({ code: 1, stderr: expect.stringContaining('--force') })
  expect((await orchestrator('config', 'reset', '--force')).code).toBe(0)
  await seen('"from":"gpt-of-this-test","to":"gpt-4o-mini"')
})

test('a setting that is none, or wrong, is refused and leaves the file as it was', async () => {
  const { orchestrator, own } = await shellOf()
  await orchestrator('config', 'set', 'daemon.maxSessions=5')
  const before = await readFile(own('config.yaml'), 'utf8')

  for (const [pair, words] of [
    ['daemon.maxSession=6', 'did you mean maxSessions?'],
    ['daemon.maxSessions=many', 'must be a whole number'],
    ['daemon.maxSessions', 'written as key=value'],
  ] as const) {
    expect(await orchestrator('config', 'set', pair)).toMatchObject({ code: 1, stderr: expect.stringContaining(words) })
  }

  expect(await readFile(own('config.yaml'), 'utf8')).toBe(before)
})

test('other words say which package they are of', async () => {
  const { shell } = await shellOf()

  const { code, stderr } = await shell.wundr('init', '--yes')

  expect([code, stderr]).toEqual([
    1,
    'error: `wundr init` belongs to @wundr.io/cli; this package brings `wundr orchestrator`\n',
  ])
  expect((await shell.wundr('orchestrater')).stderr).toContain('did you mean orchestrator?')
  expect((await shell.wundr('--version')).stdout).toMatch(/^\d+\.\d+\.\d+\n$/)
})
