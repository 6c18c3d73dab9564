/**
 * Gives a running daemon its settings anew: on SIGHUP, and when one of the files that they came from has changed.
 */
import { resolve } from 'node:path'
import { USUAL_CHARTER } from '../config/charter-place.js'
import { FileWatch } from '../config/file-watch.js'
import { type Config, ConfigError } from '../config/load.js'
import { usualSettingsFiles } from '../config/settings-file.js'
import type { Daemon } from '../daemon.js'
import type { Log } from '../telemetry/log.js'
import type { LogFile } from '../telemetry/log-file.js'

export interface ReloadOptions {
  readonly daemon: Pick<Daemon, 'reload'>
  readonly log: Log
  readonly file: LogFile | undefined
  readonly cwd: string
  readonly env: NodeJS.ProcessEnv
  /** Reads the settings as the start did. @throws ConfigError */
  readonly read: () => Config
  /** The settings of the start. */
  readonly first: Config
}

export class Reload {
  readonly #options: ReloadOptions
  readonly #watch: FileWatch
  readonly #onSignal = () => {
    // What moves log files away says so with this signal.
    this.#options.file?.reopen()
    this.#heard('SIGHUP')
  }
  #isReady = false
  /** What came before the daemon was there. */
  #early: string | undefined

  constructor(options: ReloadOptions) {
    this.#options = options
    this.#watch = new FileWatch((path) => this.#heard(path))
    process.on('SIGHUP', this.#onSignal)
    // From when they were read on: what is saved while the daemon starts counts once it is there.
    this.#watch.watch(this.#files(options.first))
  }

  /** The daemon is there. */
  start(): void {
    this.#isReady = true
    if (this.#early !== undefined) void this.now(this.#early)
  }

  /** May be called twice. */
  stop(): void {
    process.off('SIGHUP', this.#onSignal)
    this.#watch.stop()
  }

  #heard(cause: string): void {
    if (this.#isReady) void this.now(cause)
    else this.#early = cause
  }

  /** `cause` is for the log. Never rejects. */
  async now(cause: string): Promise<void> {
    const { daemon, log, read } = this.#options
    log.info({ cause }, 'reading the settings anew')
    try {
      const config = read()
      this.#watch.watch(this.#files(config))
      await daemon.reload(config, { actor: 'operator', by: cause })
    } catch (error) {
      if (!(error instanceof ConfigError)) log.error({ err: error }, 'the settings could not be read anew')
      else log.error({ mistakes: error.mistakes }, 'the settings are not right, and were not changed')
    }
  }

  /** What settings may come from, whether it is there or not. */
  #files({ server, charter, budget }: Config): readonly string[] {
    const { cwd, env } = this.#options
    const named = server.configFile === undefined ? usualSettingsFiles({ cwd, env }) : [server.configFile]
    const certificate = [server.tlsCertFile, server.tlsKeyFile]
    const files = ['.env', ...named, charter.file ?? USUAL_CHARTER, budget.pricesFile, ...certificate]
    return files.filter((file) => file !== undefined).map((file) => resolve(cwd, file))
  }
}
