/**
 * One command of the program as a shell runs it: what it printed, where, and how it ended.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { forget, watch } from '../../src/chaos/servers/watchdog.js'
import { ClusterProcess, cleanEnvironment, PROGRAM } from './cluster-process.js'
import { createServerDatabase } from './databases.js'

const WUNDR = join(dirname(PROGRAM), 'wundr.js')
/** A command that runs longer than this hangs. */
const COMMAND_TIMEOUT_MS = 60_000
const LOOK_EVERY_MS = 20

export interface Outcome {
  readonly code: number | NodeJS.Signals
  readonly stdout: string
  readonly stderr: string
}

/**
 * A folder with a `.env`, and daemons and commands that run in it and see no others of this machine. With a database on
 * the server, because making a built-in one takes seconds.
 */
export class Shell {
  readonly #daemons: ClusterProcess[] = []

  private constructor(
    readonly folder: string,
    readonly env: Readonly<Record<string, string>>,
    private readonly removeDatabase: () => Promise<void>,
  ) {}

  static async open(settings: Readonly<Record<string, string>> = {}): Promise<Shell> {
    const folder = await mkdtemp(join(tmpdir(), 'command-line-'))
    const database = await createServerDatabase()
    const lines = Object.entries({ DATABASE_URL: database.url, ...settings }).map(
      ([name, value]) => `${name}=${value}\n`,
    )
    await writeFile(join(folder, '.env'), lines.join(''))
    const own = { HOME: folder, XDG_RUNTIME_DIR: folder, XDG_STATE_HOME: join(folder, 'state'), METRICS_PORT: '0' }
    return new Shell(folder, own, database.remove)
  }

  /** Starts a daemon and waits until clients may come. */
  async startDaemon(...args: string[]): Promise<ClusterProcess> {
    const daemon = this.launchDaemon(...args)
    await daemon.waitForLine(/"msg":"ready"/)
    return daemon
  }

  launchDaemon(...args: string[]): ClusterProcess {
    const daemon = new ClusterProcess({ args: ['start', ...args], cwd: this.folder, env: this.env })
    this.#daemons.push(daemon)
    return daemon
  }

  run(...args: string[]): Promise<Outcome> {
    return this.launch(...args).ended
  }

  launch(...args: string[]): RunningCommand {
    return this.launchWith({}, ...args)
  }

  /** With settings in its environment that go before those of the folder. */
  launchWith(env: Readonly<Record<string, string>>, ...args: string[]): RunningCommand {
    return new RunningCommand(args, this.folder, { ...this.env, ...env })
  }

  /** The other program of the package. */
  wundr(...args: string[]): Promise<Outcome> {
    return new RunningCommand(args, this.folder, this.env, WUNDR).ended
  }

  /** Of all daemons that run here, also in the background. */
  async pids(): Promise<number[]> {
    const files = await readdir(join(this.folder, 'orchestrator-daemon')).catch(() => [])
    return files.filter((file) => file.endsWith('.pid')).map((file) => Number.parseInt(file, 10))
  }

  async close(): Promise<void> {
    for (const pid of await this.pids()) if (!this.#daemons.some((each) => each.pid === pid)) await this.#end(pid)
    await Promise.all(this.#daemons.map((daemon) => daemon.stop()))
    await this.removeDatabase()
    await rm(this.folder, { recursive: true, force: true })
  }

  /** One in the background, which nobody else looks after. */
  async #end(pid: number): Promise<void> {
    await this.run('stop', '--force', '--pid-file', join(this.folder, 'orchestrator-daemon', `${pid}.pid`))
  }
}

export class RunningCommand {
  readonly ended: Promise<Outcome>
  readonly #child: ChildProcess
  #stdout = ''
  #stderr = ''

  constructor(args: readonly string[], cwd: string, env: Readonly<Record<string, string>>, program = PROGRAM) {
    if (process.env.TEST_BUILD_ERROR) throw new Error(`the build failed:\n${process.env.TEST_BUILD_ERROR}`)
    this.#child = spawn(process.execPath, [program, ...args], {
      cwd,
      env: { ...cleanEnvironment(), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: COMMAND_TIMEOUT_MS,
      killSignal: 'SIGKILL',
    })
    const { pid } = this.#child
    if (pid !== undefined) watch(`KILL=${pid}`)
    this.#child.stdout?.on('data', (part) => (this.#stdout += String(part)))
    this.#child.stderr?.on('data', (part) => (this.#stderr += String(part)))
    this.ended = new Promise((resolve) => {
      // Not `exit`: what was printed last may still be on its way then.
      this.#child.once('close', (code, signal) => {
        if (pid !== undefined) forget(`KILL=${pid}`)
        resolve({ code: code ?? signal ?? 'SIGKILL', stdout: this.#stdout, stderr: this.#stderr })
      })
    })
  }

  kill(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  /** Waits until standard output, or standard error, holds the text. */
  async prints(text: string): Promise<void> {
    for (const deadline = Date.now() + COMMAND_TIMEOUT_MS; ; ) {
      if (`${this.#stdout}\n${this.#stderr}`.includes(text)) return
      const over = this.#child.exitCode !== null || Date.now() > deadline
      if (over) throw new Error(`"${text}" was not printed:\n${this.#stdout}\n${this.#stderr}`)
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS))
    }
  }
}
