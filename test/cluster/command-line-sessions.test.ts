/**
 * The commands that talk to a running daemon, as an operator uses them on the daemon's own machine: with a secret in
 * `.env`, and no token.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { connect } from '../../src/client/client.js'
import { Shell } from '../support/command-line.js'
import { freePort } from '../support/free-port.js'

const SECRET = 'a secret of the command line test, long enough'
const SLOW = JSON.stringify({ count: 2_000, bytes: 8, delayMs: 50 })
let shell: Shell
let url: string

beforeAll(async () => {
  const port = await freePort()
  shell = await Shell.open({ DAEMON_JWT_SECRET: SECRET, DAEMON_PORT: String(port) })
  url = `ws://127.0.0.1:${port}`
  await shell.startDaemon()
})
afterAll(() => shell.close())

const spawnDetached = async (task: string): Promise<string> =>
  (await shell.run('spawn', task, '--type', 'echo', '--detach')).stdout.trim()

const jsonLines = (text: string): { readonly type: string }[] =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))

test('C-04, C-05: status shows the figures of a running daemon and ends with 0', async () => {
  const [page, json] = await Promise.all([shell.run('status'), shell.run('status', '--json')])

  expect(page).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^orchestrator-daemon \S+ (running|degraded)\n\nuptime /),
  })
  expect(page.stdout).not.toContain('\u001b')
  expect(JSON.parse(json.stdout)).toMatchObject({
    name: 'orchestrator-daemon',
    status: expect.stringMatching(/^(running|degraded)$/),
  })
})

test('a daemon that refuses the credential runs, and status says why it tells no more', async () => {
  const refused = await shell.run('status', '--token', 'no.token.at-all')

  expect(refused).toMatchObject({ code: 0, stdout: expect.stringMatching(/^running: .*jwt_/) })
})

test('C-05: status, and every command that needs a daemon, ends with 1 and one sentence when none answers', async () => {
  const nowhere = ['--url', `ws://127.0.0.1:${await freePort()}`]
  const [status, sessions, attach] = await Promise.all([
    shell.run('status', ...nowhere),
    shell.run('sessions', ...nowhere),
    shell.run('attach', 'session_000_01M82GF4GZ1QDJK1ACNRY25QCT', ...nowhere),
  ])

  expect(status).toMatchObject({ code: 1, stdout: expect.stringMatching(/^stopped: nothing answers at .*\n$/) })
  expect(sessions).toMatchObject({ code: 1, stderr: expect.stringMatching(/^error: nothing answers at .*start`\n$/) })
  expect(attach).toMatchObject({ code: 1, stderr: sessions.stderr })
})

test('C-03, C-04, C-05: health ends with 0 when the page says healthy, and with 1 when nothing answers', async () => {
  const [well, nobody] = await Promise.all([
    shell.run('health', '--json'),
    shell.run('health', '--port', String(await freePort()), '--retries', '1'),
  ])

  expect(well.code).toBe(0)
  expect(JSON.parse(well.stdout)).toMatchObject({ healthy: true, status: 'healthy' })
  expect(nobody).toMatchObject({ code: 1, stdout: expect.stringContaining('nothing answers') })
})

test('C-04: status and health ask the daemon that their options name', async () => {
  const { port } = new URL(url)
  const [status, well, nobody] = await Promise.all([
    shell.run('status', '--port', port, '--host', '127.0.0.1', '--json'),
    shell.run('health', '-p', port, '--host', '127.0.0.1', '-v', '--timeout', '30000', '--retries', '2'),
    shell.run('health', '-p', String(await freePort()), '-v', '--retries', '2'),
  ])

  expect([status.code, JSON.parse(status.stdout)]).toMatchObject([0, { name: 'orchestrator-daemon' }])
  expect(well).toMatchObject({ code: 0, stdout: expect.stringContaining('healthy') })
  expect(nobody).toMatchObject({ code: 1, stdout: expect.stringContaining('nothing answers') })
})

test('spawn shows a task from its start to its end and ends with 0', async () => {
  const spawned = await shell.run('spawn', 'say it again', '--type', 'echo')

  expect(spawned).toMatchObject({ code: 0, stderr: '' })
  expect(spawned.stdout).toMatch(/^session session_\w+ \(echo\)\ntask say it again\nsay it again\n✓ completed .*\n$/)
})

test('spawn ends with 1 when the task fails', async () => {
  const failed = await shell.run('spawn', '{"count":0}', '--type', 'echo')

  expect(failed).toMatchObject({ code: 1, stdout: expect.stringContaining('✗ failed: ') })
})

test('spawn --json prints one message of the server on each line', async () => {
  const spawned = await shell.run('spawn', '{"count":3,"bytes":4}', '--type', 'echo', '--json')
  const types = jsonLines(spawned.stdout).map(({ type }) => type)

  expect(spawned.code).toBe(0)
  expect(types.slice(0, 2)).toEqual(['session_spawned', 'task_executing'])
  expect(types.at(-1)).toBe('task_completed')
})

test('the same idempotency key gives the same session', async () => {
  const spawn = () => shell.run('spawn', 'once', '--type', 'echo', '--detach', '--idempotency-key', 'only-one')
  const [first, second] = [await spawn(), await spawn()]

  expect(first.stdout).toMatch(/^session_\w+\n$/)
  expect(second.stdout).toBe(first.stdout)
})

test('Ctrl-C leaves a session that goes on, says how to come back, and ends with 130', async () => {
  const spawning = shell.launch('spawn', SLOW, '--type', 'echo')
  await spawning.prints('3...')
  spawning.kill('SIGINT')
  const left = await spawning.ended
  const id = /attach (session_\w+)/.exec(left.stderr)?.[1] ?? ''
  const active = await shell.run('sessions', '--status', 'active', '--json')

  expect(left.code).toBe(130)
  expect(JSON.parse(active.stdout).map((session: { id: string }) => session.id)).toContain(id)
})

test('sessions lists them under a heading, newest first, and no more than asked for', async () => {
  const ids = [await spawnDetached('older'), await spawnDetached('newer')]
  const { code, stdout } = await shell.run('sessions', '--limit', '2')
  const [heading, ...lines] = stdout.trim().split('\n')

  expect(code).toBe(0)
  expect(heading).toMatch(/^ID +TYPE +STATUS +AGE +TASK$/)
  expect(lines.map((line) => line.split(/ {2,}/)[0])).toEqual(ids.reverse())
})

test('stop ends a session, attach shows its whole story and ends too, and a second stop says that it has ended', async () => {
  const id = await spawnDetached('short story')
  const stopped = await shell.run('stop', id)
  const [told, again] = await Promise.all([shell.run('attach', id), shell.run('stop', id)])

  expect(stopped).toMatchObject({ code: 0, stdout: `session ${id} is stopped\n` })
  expect(told.code).toBe(0)
  expect(told.stdout).toMatch(/^session .*\ntask short story\nshort story\n✓ completed .*\nsession terminated\n$/)
  expect(again).toMatchObject({ code: 0, stdout: `session ${id} has ended before\n` })
})

test('attach to a session that is not there ends with 1 and names it', async () => {
  const lost = await shell.run('attach', 'session_000_01M82GF4GZ1QDJK1ACNRY25QCT')

  expect(lost).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/^error: Session not found: session_000_\w+\n$/),
  })
})

test('a token lets its holder in from elsewhere, as its tenant, and without one the door stays closed', async () => {
  const elsewhere = await Shell.open()
  const token = (await shell.run('token', '--tenant', 'acme', '--expires', '1m')).stdout.trim()
  const [holder, nobody] = await Promise.all([
    elsewhere.run('sessions', '--url', url, '--token', token, '--json'),
    elsewhere.run('sessions', '--url', url),
  ])
  await elsewhere.close()

  expect(holder).toMatchObject({ code: 0, stdout: '[]\n' })
  expect(nobody).toMatchObject({ code: 1, stderr: expect.stringMatching(/credentials_missing.*--token/) })
})

test('the machine that has the secret may speak for any tenant', async () => {
  await shell.run('spawn', 'for acme', '--type', 'echo', '--tenant', 'acme-2')
  const own = await shell.run('sessions', '--tenant', 'acme-2', '--json')

  expect(JSON.parse(own.stdout)).toMatchObject([{ task: { description: 'for acme' } }])
})

test('tasks shows what waits, and tasks cancel ends it', async () => {
  const token = (await shell.run('token', '--role', 'admin', '--json')).stdout
  const client = await connect({ url, token: (JSON.parse(token) as { token: string }).token })
  const { scheduleId } = await client.schedule({ task: { id: 'report', description: 'write it', delayMs: 3_600_000 } })
  client.close()

  const [page, json] = await Promise.all([shell.run('tasks'), shell.run('tasks', '--json')])
  const cancelled = await shell.run('tasks', 'cancel', scheduleId)
  const unknown = await shell.run('tasks', 'cancel', 'nothing')

  expect(page.stdout).toMatch(/waiting +medium +its time, in \d+ min .*report: write it/)
  expect(JSON.parse(json.stdout)).toContainEqual(
    expect.objectContaining({ scheduleId, waitingFor: [{ kind: 'time', at: expect.any(String) }] }),
  )
  expect(cancelled).toMatchObject({ code: 0, stdout: `cancelled report (${scheduleId})\n` })
  expect(unknown).toMatchObject({ code: 1, stderr: expect.stringContaining('No scheduled task') })
})
