/**
 * How long a session's connections to its MCP servers last, what their processes see, and what becomes of a session whose
 * servers cannot be reached.
 */
import { mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import type { ToolOutcome } from '../../../../src/runtimes/runtime.js'
import { serversOf, startHttpServer, stdioServer } from '../../../support/mcp/servers.js'
import { attachedSession, call } from './attached-session.js'

const WAIT = { timeout: 20_000, interval: 20 }
vi.setConfig({ testTimeout: 60_000 })

/** A file that holds the ids of all processes of a server. */
async function pidFile() {
  const path = join(await mkdtemp(join(tmpdir(), 'servers-')), 'pids')
  const pids = async () => (await readFile(path, 'utf8').catch(() => '')).split('\n').filter(Boolean).map(Number)
  return { path, pids }
}

const lives = (pid: number): boolean => {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false // ESRCH: it has ended.
  }
}

test('a process of a server sees what the operator gives it, and nothing of ours', async () => {
  process.env.OPENAI_API_KEY = 'sk-of-the-daemon'
  const servers = serversOf({ it: stdioServer('', { env: { TOKEN: `\${TOKEN}` } }) }, { TOKEN: 'of the operator' })
  const session = await attachedSession(servers, ['it'])

  const { ended, outcomes } = await session.run([[call('mcp__it__environment')]])
  await ended
  delete process.env.OPENAI_API_KEY

  const { env, cwd } = JSON.parse((outcomes().mcp__it__environment as Completed).result.content)
  expect(cwd).toBe(session.workspace)
  expect(env).toMatchObject({ TOKEN: 'of the operator', HOME: join(session.workspace, '.tmp') })
  // Besides what a command of the session has, and what bash adds.
  const known = ['GIT_TERMINAL_PROMPT', 'LANG', 'NO_COLOR', 'PATH', 'TERM', 'TMPDIR', 'PWD', 'SHLVL', '_']
  expect(
    Object.keys(env)
      .filter((name) => !known.includes(name))
      .sort(),
  ).toEqual(['HOME', 'TOKEN'])
})

type Completed = Extract<ToolOutcome, { status: 'completed' }> & { readonly result: { readonly content: string } }

test('tasks of one session share a connection, until the session rests', async () => {
  const { path, pids } = await pidFile()
  const session = await attachedSession(serversOf({ it: stdioServer(path) }), ['it'], 300)

  for (let task = 0; task < 2; task++) await (await session.run([[call('mcp__it__look')]])).ended
  const [pid = 0] = await pids()

  expect(await pids()).toHaveLength(1)
  await vi.waitFor(() => expect(lives(pid)).toBe(false), WAIT)
  const { ended, outcomes } = await session.run([[call('mcp__it__look')]])
  await ended
  expect(outcomes()).toMatchObject({ mcp__it__look: { status: 'completed' } })
  expect(await pids()).toHaveLength(2)
})

test('a connection of a former ownership is not used again', async () => {
  const { path, pids } = await pidFile()
  const session = await attachedSession(serversOf({ it: stdioServer(path) }), ['it'])

  await (await session.run([[]], { epoch: 1 })).ended
  await (await session.run([[]], { epoch: 2 })).ended

  const [first = 0, second = 0] = await pids()
  expect([lives(first), lives(second)]).toEqual([false, true])
})

test('what a session does with a server is told of, and its connection counts while it is open', async () => {
  const session = await attachedSession(serversOf({ it: { ...stdioServer(), timeout: 500 } }), ['it'])
  const asked = ['look', 'fail', 'hang'].map((name) => [call(`mcp__it__${name}`)])
  await (await session.run(asked)).ended

  expect(session.uses()).toEqual([
    ['it', 'load', undefined],
    ['it', 'call', undefined],
    ['it', 'call', 'tool_error'],
    ['it', 'call', 'timeout'],
  ])
  expect(session.open()).toBe(1)
  session.forget()
  await vi.waitFor(() => expect(session.open()).toBe(0), WAIT)
})

test('a session that has no next task keeps no server', async () => {
  const http = await startHttpServer()
  const session = await attachedSession(serversOf({ it: { url: http.url } }), ['it'])
  await (await session.run([[call('mcp__it__look')]])).ended
  expect(http.sessions()).toBe(1)

  session.forget()

  await vi.waitFor(() => expect(http.sessions()).toBe(0), WAIT)
})

test.each([
  ['the session is stopped', 'stopped'],
  ['its shard is lost', 'lost'],
])('nothing is left of a server when %s', async (_what, kind) => {
  const { path, pids } = await pidFile()
  const session = await attachedSession(serversOf({ it: stdioServer(path) }), ['it'])
  const { ended, entries, abort } = await session.run([[call('mcp__it__hang')]])
  await vi.waitFor(() => expect(entries.at(-1)?.type).toBe('toolStarted'), WAIT)

  abort.abort({ kind })
  await expect(ended).rejects.toEqual({ kind })

  expect((await pids()).map(lives)).toEqual([false])
})

test('a server that cannot be started costs its calls, and the task goes on; once it can, its tools are there', async () => {
  const program = join(await mkdtemp(join(tmpdir(), 'servers-')), 'server.sh')
  const servers = serversOf({ it: { command: program, startTimeout: 30_000 } })
  const session = await attachedSession(servers, ['it'])

  const first = await session.run([
    [call('mcp__it__look')],
    [call('mcp__it__connect')],
    [call('file_list', { path: '.' })],
  ])
  expect(await first.ended).toEqual({ output: 'done' })
  expect(session.offered()).toEqual(['mcp__it__connect'])
  const unreached = { status: 'failed', error: expect.stringContaining('The server it cannot be reached, so the call') }
  expect(first.outcomes()).toMatchObject({
    mcp__it__look: unreached,
    mcp__it__connect: unreached,
    file_list: { status: 'completed' },
  })

  const { command, args } = stdioServer() as { command: string; args: string[] }
  await writeFile(program, `#!/bin/sh\nexec ${[command, ...args].map((word) => `'${word}'`).join(' ')}\n`, {
    mode: 0o755,
  })
  const second = await session.run([[call('mcp__it__look')]])
  await second.ended

  expect(second.outcomes()).toMatchObject({ mcp__it__look: { status: 'completed' } })
})

test('a server that does not get ready in its time is given up', async () => {
  const servers = serversOf({ it: { command: 'sleep', args: ['60'], startTimeout: 200 } })
  const session = await attachedSession(servers, ['it'])

  const { ended, outcomes } = await session.run([[call('mcp__it__connect')]])
  await ended

  expect(outcomes()).toMatchObject({
    mcp__it__connect: { status: 'failed', error: expect.stringContaining('it was not ready within 200 ms') },
  })
  expect([session.uses()[0], session.open()]).toEqual([['it', 'load', 'unreachable'], 0])
})

test('a server over HTTP that forgot its sessions is connected to anew, and the call is made once', async () => {
  const http = await startHttpServer()
  const servers = serversOf(
    { it: { url: http.url, headers: { authorization: `Bearer \${TOKEN}` } } },
    { TOKEN: 'secret' },
  )
  const session = await attachedSession(servers, ['it'])
  await (await session.run([[call('mcp__it__post')]])).ended
  http.forget()

  const { ended, outcomes } = await session.run([[call('mcp__it__post')]])
  await ended

  expect(outcomes()).toMatchObject({ mcp__it__post: { status: 'completed' } })
  expect(new Set(http.requests.map(({ authorization }) => authorization))).toEqual(new Set(['Bearer secret']))
})

test('a server over HTTP that forgets its sessions again and again fails the call, not the task', async () => {
  const http = await startHttpServer()
  const session = await attachedSession(serversOf({ it: { url: http.url } }), ['it'])
  http.forgetAtCalls()

  const { ended, outcomes } = await session.run([[call('mcp__it__look')]])

  expect(await ended).toEqual({ output: 'done' })
  expect(outcomes()).toEqual({
    mcp__it__look: { status: 'failed', error: 'The call failed: the server it does not know this connection.' },
  })
})

test('what a server writes to stderr before it ends is for the log, not for the model', async () => {
  const servers = serversOf({ it: { command: 'bash', args: ['-c', 'echo the password is hunter2 >&2; exit 1'] } })
  const session = await attachedSession(servers, ['it'])

  await (await session.run([[call('mcp__it__connect')]])).ended

  expect(session.warn.mock.calls[0]?.[0]).toMatchObject({ reason: expect.stringContaining('exit code 1') })
  expect(session.warn.mock.calls[0]?.[0]).toMatchObject({ said: 'the password is hunter2\n' })
  expect(JSON.stringify(session.requests)).not.toContain('hunter2')
})

test('a server over HTTP hears when the session rests', async () => {
  const http = await startHttpServer()
  const session = await attachedSession(serversOf({ it: { url: http.url } }), ['it'], 50)

  await (await session.run([[call('mcp__it__look')]])).ended

  expect(http.requests.length).toBeGreaterThan(2)
  await vi.waitFor(() => expect(http.sessions()).toBe(0), WAIT)
})

test('a server over HTTP that is gone fails its calls in a sentence', async () => {
  const http = await startHttpServer()
  const session = await attachedSession(serversOf({ it: { url: http.url } }), ['it'])
  await (await session.run([[call('mcp__it__look')]])).ended
  http.stop()

  const { ended, outcomes } = await session.run([[call('mcp__it__look')], [call('file_list', { path: '.' })]])
  await ended

  expect(outcomes()).toMatchObject({
    mcp__it__look: { status: 'failed', error: expect.stringContaining('ECONNREFUSED') },
    file_list: { status: 'completed' },
  })
})

test('a client attaches what the operator declares or allows, and nothing else', async () => {
  const { url } = await startHttpServer()
  const of = async (more: object, attachment: string | { name: string; url: string }) => {
    const session = await attachedSession(serversOf({ it: { url } }, {}, more), [attachment])
    return { session, ...(await session.run([[call('mcp__mine__look')]])) }
  }
  const refused = { code: 'mcp_server_refused' }

  await expect((await of({}, 'other')).ended).rejects.toMatchObject(refused)
  await expect((await of({}, { name: 'mine', url })).ended).rejects.toMatchObject(refused)
  await expect((await of({ allowPublicUrls: true }, { name: 'it', url })).ended).rejects.toMatchObject(refused)
  const { ended, outcomes } = await of({ allowPublicUrls: true }, { name: 'mine', url })
  await ended

  expect(outcomes()).toMatchObject({
    mcp__mine__look: { status: 'failed', error: expect.stringContaining('not public') },
  })
})

test('a call that the charter refuses does not reach the server', async () => {
  const http = await startHttpServer()
  const session = await attachedSession(serversOf({ it: { url: http.url } }), ['it'])
  const refused = { status: 'failed', error: 'The charter says no.' } as const
  const permit = async ({ name }: { name: string }) => (name === 'mcp__it__post' ? refused : undefined)
  await (await session.run([[]])).ended
  const before = http.requests.length

  const { ended, outcomes } = await session.run([[call('mcp__it__post')]], { permit })
  await ended

  expect(outcomes()).toEqual({ mcp__it__post: refused })
  expect(http.requests).toHaveLength(before)
})

test('a process that may start no effect any more starts no server', async () => {
  const { path, pids } = await pidFile()
  const session = await attachedSession(serversOf({ it: stdioServer(path) }), ['it'])
  const beforeEffect = () => {
    throw new Error('the lease is over')
  }

  const { ended } = await session.run([[call('mcp__it__look')]], { beforeEffect })

  await expect(ended).rejects.toThrow('the lease is over')
  expect(await pids()).toEqual([])
})
