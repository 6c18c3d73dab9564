/**
 * The program as a user starts it: what it prints when something is wrong, and how it ends.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { ClusterProcess } from '../support/cluster-process.js'

/** Nothing of another test listens there, and nothing of this one stays. */
const ANY_PORT = { DAEMON_PORT: '0', METRICS_PORT: '0' }

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

const portOf = async (daemon: ClusterProcess): Promise<number> =>
  Number((await daemon.waitForLine(/"port":(\d+).*"msg":"ready"/))[1])

test('the bare command starts a daemon that answers health checks and ends with 0 on SIGTERM', async () => {
  const daemon = await run([])
  const port = await portOf(daemon)

  const health = await (await fetch(`http://127.0.0.1:${port}/health`)).json()
  daemon.kill('SIGTERM')

  expect(health).toEqual({ status: 'healthy', timestamp: expect.any(String) })
  expect(await daemon.ended).toBe(0)
})

test('Ctrl-C ends it with 130', async () => {
  const daemon = await run(['start'])
  await portOf(daemon)

  daemon.kill('SIGINT')

  expect(await daemon.ended).toBe(130)
})

test('a flag counts more than the environment, and the environment more than .env', async () => {
  const files = { '.env': 'DAEMON_NAME=from-file\nLOG_LEVEL=debug\n' }
  const daemon = await run(
    ['start', '--name', 'from-flag'],
    { DAEMON_NAME: 'from-environment', LOG_LEVEL: 'info' },
    files,
  )
  const [line] = await daemon.waitForLine(/^.*"msg":"ready".*$/)

  expect(JSON.parse(line)).toMatchObject({ name: 'from-flag' })
  expect(daemon.lines.filter((it) => it.includes('"level":"debug"'))).toEqual([])
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

test('a port that is taken ends it with 1 and a sentence that says what to do', async () => {
  const first = await run([])
  const port = await portOf(first)
  const second = await run(['start', '--port', String(port)])

  expect(await second.ended).toBe(1)
  expect(second.tail()).toContain(`cannot listen on 127.0.0.1:${port}`)
})

test('an unknown option ends it with 1 and names the option', async () => {
  const daemon = await run(['start', '--colour'])

  expect(await daemon.ended).toBe(1)
  expect(daemon.tail()).toContain("unknown option '--colour'")
})

test('DATABASE_URL alone is one process that holds the database', async () => {
  const url = process.env.TEST_DATABASE_URL ?? ''
  const first = await run([], { DATABASE_URL: url })
  await portOf(first)
  const second = await run([], { DATABASE_URL: url })

  expect(await second.ended).toBe(1)
  expect(second.tail()).toContain('another process runs alone on this database')
})
