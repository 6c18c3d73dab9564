/**
 * The package as a program finds it: packed, installed beside its dependencies, compiled against strictly, and run. The
 * programs are those of the README, letter by letter.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { numberedWords, type ScriptedModel, startScriptedModel } from '../../scripts/demo/scripted-model.js'
import { connect } from '../../src/client/client.js'
import { API_KEY, API_SECRET, FakeNeolith } from '../support/fake-neolith.js'
import { freePort } from '../support/free-port.js'
import { compile, installPackage, PACKAGE, ROOT } from '../support/packed-package.js'

const run = promisify(execFile)
const PORT_OF_README = '8787'

type Exports = Readonly<Record<string, string | Readonly<Record<string, string>>>>

/** A stranger's use of the second entry point. */
const CLIENT_PROGRAM = `import { type Client, connect } from '${PACKAGE}/client'
const open = (url: string): Promise<Client> => connect({ url })
console.log(typeof open)
`

/** The complete WebSocket client of the reference's README. */
const WEBSOCKET_PROGRAM = readFileSync(join(ROOT, 'test/support/programs/websocket-client.ts.txt'), 'utf8')
/** The client of Neolith in the reference's README, letter by letter. */
const NEOLITH_PROGRAM = readFileSync(join(ROOT, 'test/support/programs/neolith-client.ts.txt'), 'utf8')
/** Every class that the library promises, used once. */
const CLASSES_PROGRAM = readFileSync(join(ROOT, 'test/support/programs/public-classes.ts.txt'), 'utf8')

const folder = mkdtempSync(join(tmpdir(), 'library-package-'))
let model: ScriptedModel

beforeAll(async () => {
  model = await startScriptedModel()
  await installPackage(folder)
  mkdirSync(join(folder, 'cwd'))
  const [readme, events] = programsOf(readFileSync(join(ROOT, 'README.md'), 'utf8'))
  writeFileSync(join(folder, 'readme.ts'), readme ?? '')
  writeFileSync(join(folder, 'events.ts'), events ?? '')
  writeFileSync(join(folder, 'client.ts'), CLIENT_PROGRAM)
  writeFileSync(join(folder, 'websocket.ts'), WEBSOCKET_PROGRAM)
  writeFileSync(join(folder, 'neolith.ts'), NEOLITH_PROGRAM)
  writeFileSync(join(folder, 'classes.ts'), CLASSES_PROGRAM)
  await compile(folder, ['*.ts'])
}, 60_000)

afterAll(async () => {
  await model?.stop()
  rmSync(folder, { recursive: true, force: true })
})

test('the documented events come, and after stop the process ends by itself', async () => {
  const program = startProgram(join(folder, 'out/events.js'))

  expect(await program.ended, program.output()).toBe(0)
  expect(program.output().trim().split('\n')).toEqual([
    'spawned by my-orchestrator',
    `done: ${numberedWords(3)}`,
    `done: ${numberedWords(5)}`,
    'true',
    'sessions: 1',
  ])
})

test('the documented example runs, serves clients and ends on SIGTERM', async () => {
  const port = await freePort()
  // Compiled as it stands; only run elsewhere, because this port may be in use on the machine of the test.
  const path = join(folder, 'out/readme-elsewhere.js')
  writeFileSync(path, readFileSync(join(folder, 'out/readme.js'), 'utf8').replaceAll(PORT_OF_README, String(port)))
  const program = startProgram(path)
  await program.line(`Daemon is running on ws://127.0.0.1:${port}`)

  const client = await connect({ url: `ws://127.0.0.1:${port}` })
  const session = await client.spawn({ task: 'Count to 3', sessionType: 'llm' })
  const end = await session.result()
  client.close()
  program.child.kill('SIGTERM')

  expect(end).toMatchObject({ type: 'task_completed', result: { output: numberedWords(3) } })
  expect(await program.ended).toBe(0)
  expect(readFileSync(join(folder, 'cwd/node.log'), 'utf8')).toContain('the edge takes connections')
})

test('the documented WebSocket client spawns a session and hears of its end', async () => {
  const port = await freePort()
  const server = join(folder, 'out/server.js')
  writeFileSync(server, readFileSync(join(folder, 'out/readme.js'), 'utf8').replaceAll(PORT_OF_README, String(port)))
  const daemon = startProgram(server)
  onTestFinished(() => void daemon.child.kill('SIGKILL'))
  await daemon.line(`Daemon is running on ws://127.0.0.1:${port}`)
  // Compiled as it stands; run without the program that sessions of its type need.
  const path = join(folder, 'out/websocket.js')
  const text = readFileSync(path, 'utf8').replaceAll(PORT_OF_README, String(port)).replace("'claude-code'", "'llm'")
  writeFileSync(path, text)
  const client = startProgram(path)
  onTestFinished(() => void client.child.kill())

  await client.line('Task completed: task-1')
  expect(client.output()).toContain('✓ Connected to daemon')
  expect(client.output()).toContain('Session spawned: session_')
  daemon.child.kill('SIGTERM')
  expect(await daemon.ended).toBe(0)
}, 180_000)

test('every public class is there and works', async () => {
  const program = startProgram(join(folder, 'out/classes.js'))

  expect(await program.ended, program.output()).toBe(0)
  expect(program.output().trim().split('\n')).toEqual([
    'daemon: running',
    `sessions: ${numberedWords(3)}, then completed`,
    'failed: not good enough after 42 tokens, cleaned up',
    'scheduled: waiting, then cancelled',
    'budget: allowed',
    'federation: reviewer',
    'server: open',
    'memory: the build runs on Node 24',
    'neolith: not yet',
  ])
})

test('C-24: what people are told to copy is in the package: settings, examples, licence, sources', () => {
  const target = join(folder, 'node_modules', PACKAGE)
  const copied = ['.env.example', 'LICENSE', 'README.md', 'examples/README.md', 'src/README.md', 'dist/ui/index.html']

  expect(copied.filter((file) => !existsSync(join(target, file)))).toEqual([])
})

test('whatever the package offers is in it, with its types, and its folders are closed otherwise', async () => {
  const target = join(folder, 'node_modules', PACKAGE)
  const { exports } = JSON.parse(readFileSync(join(target, 'package.json'), 'utf8')) as { exports: Exports }
  const files = Object.values(exports).flatMap((entry) => (typeof entry === 'string' ? [entry] : Object.values(entry)))
  const inside = `await import('${PACKAGE}/dist/client/requests.js').catch(({ code }) => console.log(code))`

  expect(Object.keys(exports)).toEqual(['.', './client', './neolith', './package.json'])
  expect(Object.keys(exports['./client'] ?? {})).toEqual(['types', 'browser', 'default'])
  expect(files.filter((file) => !existsSync(join(target, file)))).toEqual([])
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', inside], { cwd: folder })
  expect(stdout.trim()).toBe('ERR_PACKAGE_PATH_NOT_EXPORTED')
})

test('P-05: the documented client of Neolith signs in, writes a message and reads the configuration', async () => {
  const neolith = await FakeNeolith.start()
  onTestFinished(() => neolith.stop())
  neolith.channels.push({
    id: 'chan_123',
    name: 'news',
    type: 'PUBLIC',
    isPrivate: false,
    memberCount: 1,
    messageCount: 0,
  })
  const settings = { NEOLITH_API_URL: neolith.url, NEOLITH_API_KEY: API_KEY, NEOLITH_API_SECRET: API_SECRET }
  const program = startProgram(join(folder, 'out/neolith.js'), settings)
  onTestFinished(() => void program.child.kill('SIGKILL'))

  await program.line('Orchestrator role: helper')

  expect(neolith.calls('POST /api/daemon/auth')[0]?.body.scopes).toEqual(['messages:read', 'messages:write'])
  expect(neolith.messages.map(({ content }) => content)).toEqual(['Task completed successfully!'])
})

test('the client can be imported alone', async () => {
  const { stdout } = await run(process.execPath, [join(folder, 'out/client.js')])

  expect(stdout.trim()).toBe('function')
})

/** The TypeScript programs of the section Library. */
function programsOf(readme: string): string[] {
  const section = /^## Library$([\s\S]*?)^## /m.exec(readme)?.[1] ?? ''
  return [...section.matchAll(/^```typescript\n([\s\S]*?)^```$/gm)].map(([, program = '']) => program)
}

interface Program {
  readonly child: ChildProcess
  /** Exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals | null>
  /** Resolves when the program has printed the line. */
  line(text: string): Promise<void>
  output(): string
}

/** All in one folder, one after the other: a new database takes seconds. */
function startProgram(path: string, env: Readonly<Record<string, string>> = {}): Program {
  const child = spawn(process.execPath, [path], { cwd: join(folder, 'cwd'), env: { ...environment(), ...env } })
  let text = ''
  child.stderr.on('data', (data) => {
    text += data
  })
  const lines = createInterface({ input: child.stdout })
  lines.on('line', (line) => {
    text += `${line}\n`
  })
  const ended = once(child, 'close').then(([code, signal]) => code ?? signal)
  const line = (wanted: string): Promise<void> =>
    Promise.race([
      new Promise<void>((resolve) => lines.on('line', (found) => found === wanted && resolve())),
      ended.then(() => Promise.reject(new Error(`the program ended before it said "${wanted}":\n${text}`))),
    ])
  return { child, ended, line, output: () => text }
}

/** Nothing of the developer's own settings; what a fresh shell has. */
const environment = (): NodeJS.ProcessEnv => ({
  PATH: process.env.PATH,
  HOME: folder,
  METRICS_PORT: '0',
  LOG_FILE: 'node.log',
  OPENAI_BASE_URL: model.openaiUrl,
  OPENAI_API_KEY: 'none',
  OPENAI_MODEL: 'scripted',
})
