/**
 * The life of a daemon seen from its command line: found by its pid file, stopped, killed, and watched across a crash.
 */
import { readdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { connect } from '../../src/client/client.js'
import { Shell } from '../support/command-line.js'
import { freePort } from '../support/free-port.js'

/** So many that the kill comes in the middle of them. */
const CHUNKS = 100

const lastLine = (text: string): unknown => JSON.parse(text.trimEnd().split('\n').at(-1) ?? '')

async function shellWithPort(settings: Readonly<Record<string, string>> = {}): Promise<Shell> {
  const shell = await Shell.open({ DAEMON_PORT: String(await freePort()), ...settings })
  onTestFinished(() => shell.close())
  return shell
}

test('attach goes on where it was when the daemon is killed and comes back, and ends with the session', async () => {
  const shell = await shellWithPort()
  const first = await shell.startDaemon()
  const [, port] = await first.waitForLine(/"port":(\d+).*"msg":"ready"/)
  const id = (await shell.run('spawn', 'first', '--type', 'echo', '--detach')).stdout.trim()
  const attached = shell.launch('attach', id)
  await attached.prints('completed')
  // Given when somebody watches: the program that watches takes a while to start.
  const client = await connect({ url: `ws://127.0.0.1:${port}` })
  onTestFinished(() => client.close())
  const done = (await client.attach(id)).execute(JSON.stringify({ count: CHUNKS, bytes: 8, delayMs: 50 }))

  await attached.prints('10.....')
  first.kill('SIGKILL')
  await first.ended
  await attached.prints('reconnecting')
  await shell.startDaemon()
  expect((await done).type).toBe('task_completed')
  await shell.run('stop', id)
  const { code, stdout, stderr } = await attached.ended

  expect(code).toBe(0)
  expect(stdout.match(/\d+\.{2,}/g)?.map((chunk) => Number.parseInt(chunk, 10))).toEqual(
    Array.from({ length: CHUNKS }, (_, index) => index + 1),
  )
  expect(stdout).toContain('goes on')
  expect(stderr).toContain('connected again')
})

test('C-04, C-05: stop ends the daemon that was started here with 0, and says so when there is none', async () => {
  const shell = await shellWithPort()
  const daemon = await shell.startDaemon()
  const stopped = await shell.run('stop')
  const none = await shell.run('stop', '--json')

  expect(stopped).toMatchObject({ code: 0, stdout: `orchestrator-daemon (all, pid ${daemon.pid}) has stopped\n` })
  expect(await daemon.ended).toBe(0)
  expect(none.code).toBe(0)
  expect(JSON.parse(none.stdout)).toEqual({ stopped: [] })
  expect(await readdir(join(shell.folder, 'orchestrator-daemon'))).toEqual([])
})

test('C-05: a daemon that does not stop in time is killed, and stop ends with 1', async () => {
  const shell = await shellWithPort()
  const daemon = await shell.startDaemon('--pid-file', 'daemon.pid')
  daemon.kill('SIGSTOP')
  const stopped = await shell.run('stop', '--pid-file', 'daemon.pid', '--timeout', '300')

  expect(stopped).toMatchObject({ code: 1, stdout: expect.stringContaining('was killed') })
  expect(await daemon.ended).toBe('SIGKILL')
})

test('C-06: a pid file whose process is gone harms nobody: stop leaves the pid alone, and a start replaces the file', async () => {
  const shell = await shellWithPort()
  const stranger = { pid: process.pid, bornAt: 'long ago', role: 'all', name: 'x', host: '127.0.0.1', port: 1 }
  await writeFile(join(shell.folder, 'daemon.pid'), `${stranger.pid}\n${JSON.stringify(stranger)}\n`)
  const stopped = await shell.run('stop', '--pid-file', 'daemon.pid')
  const daemon = await shell.startDaemon('--pid-file', 'daemon.pid')
  daemon.kill('SIGTERM')

  expect(stopped).toMatchObject({ code: 0, stdout: expect.stringContaining('no daemon') })
  expect(await daemon.ended).toBe(0)
})

test('C-05: a second start on the same port ends with 1 and names the process that runs already', async () => {
  const shell = await shellWithPort()
  const first = await shell.startDaemon()
  const second = await shell.run('start')

  expect(second.code).toBe(1)
  expect(second.stderr).toMatch(new RegExp(`^error: already running, pid ${first.pid} on port \\d+; .*stop\`\n$`))
})

test('C-05: a port that another program holds ends the start with 1 and one sentence', async () => {
  const shell = await shellWithPort()
  const other = createServer().listen(0, '127.0.0.1')
  onTestFinished(() => void other.close())
  await new Promise((resolve) => other.once('listening', resolve))
  const { port } = other.address() as { readonly port: number }
  const { code, stdout, stderr } = await shell.run('start', '--port', String(port))

  expect(code).toBe(1)
  expect(lastLine(stdout)).toMatchObject({
    level: 'error',
    msg: expect.stringMatching(/^could not start: cannot listen on 127\.0\.0\.1:\d+; /),
  })
  expect(stdout).not.toMatch(/\bat \S+ \(|\.js:\d+/)
  expect(stderr, 'said once').toBe('')
})

test('a data directory that cannot be made ends the start with 1 and one line that says which folder and what to do', async () => {
  const shell = await shellWithPort({ DATABASE_URL: '', DATA_DIR: 'file/database' })
  await writeFile(join(shell.folder, 'file'), '')
  const { code, stdout, stderr } = await shell.run('start')

  expect(code).toBe(1)
  expect(stdout.match(/could not start/g)).toHaveLength(1)
  expect(lastLine(stdout)).toMatchObject({ msg: expect.stringContaining(`${shell.folder}/file is not a directory`) })
  expect(lastLine(stdout)).toMatchObject({ msg: expect.stringContaining('or set DATA_DIR to another folder') })
  expect(stderr).toBe('')
})

test('C-04: restart puts a new daemon in the place of the old one', async () => {
  const shell = await shellWithPort()
  const first = await shell.startDaemon()
  const restarted = shell.launch('restart')
  await restarted.prints('"msg":"ready"')
  restarted.kill('SIGINT')

  expect(await first.ended).toBe(0)
  expect((await restarted.ended).code).toBe(130)
})

test('C-08: a second signal ends a daemon at once with 1', async () => {
  const shell = await shellWithPort()
  const daemon = await shell.startDaemon()
  daemon.kill('SIGINT')
  daemon.kill('SIGTERM')

  expect(await daemon.ended).toBe(1)
})

test('migrate lists what it applied, and nothing the second time', async () => {
  const shell = await shellWithPort()
  const first = await shell.run('migrate', '--json')
  const second = await shell.run('migrate', '--json')

  expect(first.code).toBe(0)
  expect(JSON.parse(first.stdout).applied[0]).toEqual({ version: 1, name: 'foundation' })
  expect(JSON.parse(second.stdout).applied).toEqual([])
})

test('migrate ends with 1 and one sentence when the database does not answer', async () => {
  const shell = await Shell.open({ DATABASE_URL: `postgres://me:hush@127.0.0.1:${await freePort()}/db` })
  onTestFinished(() => shell.close())
  const { code, stderr } = await shell.run('migrate')

  expect(code).toBe(1)
  expect(stderr).toMatch(/^error: The database does not answer .*\n$/)
  expect(stderr).not.toContain('hush')
})
