/**
 * The program as a user starts it: what it prints when something is wrong, and how it ends.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { connect } from '../../src/client/client.js'
import { ClusterProcess } from '../support/cluster-process.js'
import { Shell } from '../support/command-line.js'
import { createServerDatabase } from '../support/databases.js'

/** Nothing of another test listens there, and nothing of this one stays. */
const ANY_PORT = { DAEMON_PORT: '0', METRICS_PORT: '0' }

/** Made in a moment, where the built-in one takes seconds. */
async function ownDatabase(): Promise<{ readonly DATABASE_URL: string }> {
  const { url, remove } = await createServerDatabase()
  onTestFinished(remove)
  return { DATABASE_URL: url }
}

async function run(args: readonly string[], env: Record<string, string> = {}, files: Record<string, string> = {}) {
  const cwd = await mkdtemp(join(tmpdir(), 'command-line-'))
  for (const [name, text] of Object.entries(files)) await writeFile(join(cwd, name), text)
  const daemon = new ClusterProcess({ args, cwd, env: { ...ANY_PORT, ...env } })
  onTestFinished(async () => {
    await daemon.stop()
    await rm(cwd, { recursive: true, force: true })
  })
  return daemon
}

async function statusOf(port: number): Promise<unknown> {
  const client = await connect({ url: `ws://127.0.0.1:${port}` })
  onTestFinished(() => client.close())
  return await client.status()
}

const portOf = async (daemon: ClusterProcess): Promise<number> =>
  Number((await daemon.waitForLine(/"port":(\d+).*"msg":"ready"/))[1])

test('C-01, C-05: the bare command starts a daemon that answers health checks and ends with 0 on SIGTERM', async () => {
  const daemon = await run([])
  const port = await portOf(daemon)

  const health = await (await fetch(`http://127.0.0.1:${port}/health`)).json()
  daemon.kill('SIGTERM')

  expect(health).toEqual({ status: 'healthy', timestamp: expect.any(String) })
  expect(await daemon.ended).toBe(0)
})

test('C-05: Ctrl-C ends it with 130', async () => {
  const daemon = await run(['start'], await ownDatabase())
  await portOf(daemon)

  daemon.kill('SIGINT')

  expect(await daemon.ended).toBe(130)
})

test('C-06, C-09: a flag counts more than the environment, and the environment more than .env', async () => {
  const files = { '.env': 'DAEMON_NAME=from-file\nLOG_LEVEL=debug\n' }
  const daemon = await run(
    ['start', '--name', 'from-flag'],
    { DAEMON_NAME: 'from-environment', LOG_LEVEL: 'info', ...(await ownDatabase()) },
    files,
  )
  const [line] = await daemon.waitForLine(/^.*"msg":"ready".*$/)

  expect(JSON.parse(line)).toMatchObject({ name: 'from-flag' })
  expect(daemon.lines.filter((it) => it.includes('"level":"debug"'))).toEqual([])
})

test('C-02, C-08: the older command line starts a daemon as before, with its short and its long options', async () => {
  const files = { 'mine.json': JSON.stringify({ name: 'from-its-file' }) }
  const database = await ownDatabase()
  const old = await run(
    ['-p', '0', '-v', '-c', 'mine.json', '--max-sessions', '5', '--host', '127.0.0.1'],
    database,
    files,
  )
  const [ready] = await old.waitForLine(/^.*"msg":"ready".*$/)
  const status = await statusOf(await portOf(old))
  old.kill('SIGTERM')
  await old.ended
  const long = await run(['--port', '0', '--verbose', '--config', 'mine.json'], database, files)
  const [again] = await long.waitForLine(/^.*"msg":"ready".*$/)

  expect(JSON.parse(ready)).toMatchObject({ name: 'from-its-file' })
  expect(status).toMatchObject({ name: 'from-its-file', maxSessions: 5 })
  expect(JSON.parse(again)).toMatchObject({ name: 'from-its-file' })
  for (const { lines } of [old, long]) expect(lines.some((it) => it.includes('"level":"debug"'))).toBe(true)
})

test('all mistakes in the settings are named at once, without a stack', async () => {
  const daemon = await run([], { DAEMON_PORT: 'many', LOG_LEVEL: 'loud', DAEMON_HOST: '0.0.0.0' })

  expect(await daemon.ended).toBe(1)
  expect(daemon.tail()).toMatch(/DAEMON_PORT must be/)
  expect(daemon.tail()).toMatch(/LOG_LEVEL must be/)
  expect(daemon.tail()).not.toMatch(/\n\s+at /)
})

test('it refuses to listen beyond this machine without a secret', async () => {
  const daemon = await run(['start', '--host', '0.0.0.0'])

  expect(await daemon.ended).toBe(1)
  expect(daemon.tail()).toContain('DAEMON_JWT_SECRET is missing')
})

test('a role of its own names the store that it misses', async () => {
  const daemon = await run(['start', '--role', 'worker'])

  expect(await daemon.ended).toBe(1)
  expect(daemon.tail()).toContain('REDIS_URL is missing')
  expect(daemon.tail()).toContain('DATABASE_URL is missing')
})

test('C-03, C-05: bad input ends every command with 1 and one line that says what would be right', async () => {
  const shell = await Shell.open()
  onTestFinished(() => shell.close())
  const table: readonly (readonly [readonly string[], RegExp])[] = [
    [['statsu'], /unknown command 'statsu' \(did you mean status\?\)/],
    [['start', '--colour'], /unknown option '--colour'/],
    [['start', '--prot', '1'], /unknown option '--prot' \(Did you mean --port\?\)/],
    [['start', '--port', '70000'], /a port is a whole number from 0 to 65535/],
    [['start', '--config', 'missing.json'], /missing\.json/],
    [['start', '--log-level', 'loud'], /--log-level must be one of/],
    [['status', '--url', 'nowhere'], /an address looks like ws:\/\//],
    [['health', '--timeout', 'soon'], /whole number from 1/],
    [['sessions', '--status', 'activ'], /--status must be one of initializing, active/],
    [['spawn'], /missing required argument 'task'/],
    [['spawn', ' '], /the task is empty/],
    [['spawn', 'x', '--type', 'robot'], /--type <type>' argument 'robot' is invalid. Allowed choices are llm, echo/],
    [['attach', 'session_1', '--from', 'noon'], /--from must be start, now or the id of an event/],
    [['token'], /openssl rand -base64 48/],
    [['token', '--role', 'king'], /--role must be one of admin, user, readonly/],
    [['token', '--tenant', 'a b'], /--tenant must be 1 to 64 letters/],
  ]
  // One after the other in two lanes: a start takes most of a core.
  const outcomes = await inLanes(table, ([args]) => shell.run(...args))

  for (const [index, [args, expected]] of table.entries()) {
    const { code, stdout, stderr } = outcomes[index] ?? { code: 'missing', stdout: '', stderr: '' }
    expect({ args, code, stdout }).toEqual({ args, code: 1, stdout: '' })
    expect(stderr, args.join(' ')).toMatch(expected)
    expect(stderr, args.join(' ')).not.toMatch(/\n\s+at /)
  }
})

test('config prints every setting with its source, and no secret', async () => {
  const shell = await Shell.open({ DAEMON_JWT_SECRET: 'a secret that nobody may ever read', DAEMON_PORT: '9123' })
  onTestFinished(() => shell.close())
  const { code, stdout } = await shell.run('config', '--json', '--name', 'mine')
  const settings: readonly { name: string; value?: string; source: string }[] = JSON.parse(stdout)
  const of = (name: string) => settings.find((setting) => setting.name === name)

  expect(code).toBe(0)
  expect(of('DAEMON_PORT')).toMatchObject({ value: '9123', source: '.env' })
  expect(of('DAEMON_NAME')).toMatchObject({ value: 'mine', source: 'flag' })
  expect(of('DAEMON_JWT_SECRET')).toMatchObject({ source: '.env' })
  expect(stdout).not.toContain('nobody may ever read')
})

test('DATABASE_URL alone is one process that holds the database', async () => {
  const url = process.env.TEST_DATABASE_URL ?? ''
  const first = await run([], { DATABASE_URL: url })
  await portOf(first)
  const second = await run([], { DATABASE_URL: url })

  expect(await second.ended).toBe(1)
  expect(second.tail()).toContain('another process runs alone on this database')
})

const LANES = 2

async function inLanes<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = []
  const queue = [...items.entries()]
  const lane = async () => {
    for (let next = queue.shift(); next; next = queue.shift()) results[next[0]] = await work(next[1])
  }
  await Promise.all(Array.from({ length: LANES }, lane))
  return results
}
