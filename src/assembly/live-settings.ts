/**
 * The settings as they stand now. Most of them are fixed by the start; those that the table calls live may change while
 * sessions run: all of them at once, and only when everything about the new ones is right.
 *
 *   reload(config) ─▶ read the files that it names ─▶ all well? ─yes─▶ adopt ─▶ tell the parts
 *                                                        └─no─▶ said in the log, nothing has changed
 */
import { isDeepStrictEqual } from 'node:util'
import { changesBetween, type SettingChange, withLiveOf } from '../config/changes.js'
import type { Config } from '../config/load.js'
import { brokenRules } from '../config/rules.js'
import type { Log } from '../telemetry/log.js'

/** Something that is read from a file which a live setting names, and that may change while the setting does not. */
export interface LiveFile<T> {
  /** For the log. */
  readonly name: string
  /** @throws Error that says what is wrong, and where. */
  readonly read: (config: Config) => T | Promise<T>
  readonly adopt: (value: T, config: Config) => void
}

export interface Reloaded {
  /** Why nothing has changed; undefined when the new settings count. */
  readonly refused: string | undefined
  /** Settings and files that count anew. */
  readonly changed: readonly string[]
  /** Settings that differ from those of the start, and wait for the next one. */
  readonly waiting: readonly string[]
}

interface Watched {
  readonly file: LiveFile<unknown>
  value: unknown
}

interface Fresh {
  readonly watched: Watched
  readonly value: unknown
}

export class LiveSettings {
  /** What counts now, in the shape of all settings: read a section when it is needed, and keep none. */
  readonly view: Config
  #current: Config
  readonly #files: Watched[] = []
  readonly #listeners: ((now: Config, before: Config) => void)[] = []
  #reloading: Promise<unknown> = Promise.resolve()

  constructor(
    config: Config,
    private readonly log: Log,
  ) {
    this.#current = config
    this.view = Object.defineProperties(
      {},
      Object.fromEntries(
        Object.keys(config).map((section) => [
          section,
          { enumerable: true, get: () => this.#current[section as keyof Config] },
        ]),
      ),
    ) as Config
  }

  /** Called after each change, in the order of these calls. A listener must not throw. */
  onChanged(listener: (now: Config, before: Config) => void): void {
    this.#listeners.push(listener)
  }

  /** `value` is what was read at the start. */
  watch<T>(file: LiveFile<T>, value: T): void {
    this.#files.push({ file: file as LiveFile<unknown>, value })
  }

  /** Takes up what is live of `next`; one reload after the other. */
  reload(next: Config): Promise<Reloaded> {
    const reloaded = this.#reloading.then(() => this.#reload(next))
    // What went wrong with one is told to its caller, and keeps none behind it.
    this.#reloading = reloaded.catch(() => undefined)
    return reloaded
  }

  async #reload(next: Config): Promise<Reloaded> {
    const changes = changesBetween(this.#current, next)
    const merged = withLiveOf(this.#current, next)
    const waiting = changes.filter(({ live }) => !live)
    let files: readonly Fresh[]
    try {
      // Right by themselves, the new ones may not fit those that wait for the next start.
      for (const broken of brokenRules(merged)) throw new Error(broken)
      files = await this.#changedFiles(merged)
    } catch (error) {
      const refused = error instanceof Error ? error.message : String(error)
      this.log.error({ reason: refused }, 'the settings were not changed: something about them is not right')
      return { refused, changed: [], waiting: namesOf(waiting) }
    }
    const live = changes.filter((change) => change.live)
    this.#adopt(merged, files, live.length > 0)
    this.#say(live, files, waiting)
    const changed = [...namesOf(live), ...files.map(({ watched }) => watched.file.name)]
    return { refused: undefined, changed, waiting: namesOf(waiting) }
  }

  async #changedFiles(config: Config): Promise<readonly Fresh[]> {
    const read = this.#files.map(async (watched) => ({ watched, value: await watched.file.read(config) }))
    return (await Promise.all(read)).filter(({ watched, value }) => !isDeepStrictEqual(watched.value, value))
  }

  // No await in here: whoever reads settings sees the old ones or the new ones, never some of each.
  #adopt(config: Config, files: readonly Fresh[], tell: boolean): void {
    const before = this.#current
    this.#current = config
    for (const { watched, value } of files) {
      watched.value = value
      watched.file.adopt(value, config)
    }
    if (tell) for (const listener of this.#listeners) listener(config, before)
  }

  #say(live: readonly SettingChange[], files: readonly Fresh[], waiting: readonly SettingChange[]): void {
    for (const { name, from, to } of live) this.log.info({ setting: name, from, to }, 'a setting has changed')
    for (const { watched } of files) this.log.info({ file: watched.file.name }, 'a file of the settings has changed')
    if (waiting.length > 0) {
      this.log.warn({ settings: namesOf(waiting) }, 'these settings have changed and count from the next start on')
    }
  }
}

const namesOf = (changes: readonly SettingChange[]): string[] => changes.map(({ name }) => name)
