/**
 * The settings as they stand now. Most of them are fixed by the start; those that the table calls live may change while
 * sessions run: all of them at once, and only when everything about the new ones is right.
 *
 *   reload(config) ─▶ read the files that it names ─▶ all well? ─yes─▶ adopt ─▶ tell the parts
 *                                                        └─no─▶ said in the log, nothing has changed
 *
 * What an administrator sets meanwhile lies over what was read, until another value is read there or the process ends.
 */
import { isDeepStrictEqual } from 'node:util'
import { type AskedSettings, stillAsked, withAsked } from '../config/asked.js'
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

/** Why settings have changed: who wanted it, and by what. */
export interface Cause {
  readonly actor: string
  readonly by: string
}

/** Whoever writes files and sends signals is at this machine: more is not known of them. */
const AT_THE_MACHINE: Cause = { actor: 'operator', by: 'reload' }

/** Settings and files that count anew, for whoever keeps account of it. */
export interface Adopted {
  readonly cause: Cause
  readonly changes: readonly SettingChange[]
  readonly files: readonly string[]
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
  /** As read last, and what was set since. */
  #read: Config
  #asked: AskedSettings = new Map()
  readonly #files: Watched[] = []
  readonly #listeners: ((now: Config, before: Config) => void)[] = []
  readonly #accountants: ((adopted: Adopted) => void)[] = []
  #reloading: Promise<unknown> = Promise.resolve()

  constructor(
    config: Config,
    private readonly log: Log,
  ) {
    this.#current = config
    this.#read = config
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

  /** Told of everything that counts anew, with its cause. A listener must not throw. */
  onAdopted(listener: (adopted: Adopted) => void): void {
    this.#accountants.push(listener)
  }

  /** `value` is what was read at the start. */
  watch<T>(file: LiveFile<T>, value: T): void {
    this.#files.push({ file: file as LiveFile<unknown>, value })
  }

  /** Takes up what is live of `read`; one reload after the other. */
  reload(read: Config, cause: Cause = AT_THE_MACHINE): Promise<Reloaded> {
    return this.#inTurn(() => this.#reload(read, stillAsked(this.#asked, this.#read, read), cause))
  }

  /** Sets live settings by name, over what was read; undefined takes one back. `merge`: what was set before stays. */
  set(asked: AskedSettings, { merge, cause }: { readonly merge: boolean; readonly cause: Cause }): Promise<Reloaded> {
    return this.#inTurn(() => {
      const all = new Map([...(merge ? this.#asked : []), ...asked])
      const wanted = new Map([...all].filter(([, value]) => value !== undefined))
      return this.#reload(this.#read, wanted, cause)
    })
  }

  #inTurn(work: () => Promise<Reloaded>): Promise<Reloaded> {
    const done = this.#reloading.then(work)
    // What went wrong with one is told to its caller, and keeps none behind it.
    this.#reloading = done.catch(() => undefined)
    return done
  }

  async #reload(read: Config, asked: AskedSettings, cause: Cause): Promise<Reloaded> {
    const next = withAsked(read, asked)
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
    // What waits was said when it was read.
    const unsaid = read === this.#read ? [] : waiting
    this.#read = read
    this.#asked = asked
    this.#adopt(merged, files, live.length > 0)
    this.#say(live, files, unsaid)
    const fileNames = files.map(({ watched }) => watched.file.name)
    const changed = [...namesOf(live), ...fileNames]
    if (changed.length > 0) for (const tell of this.#accountants) tell({ cause, changes: live, files: fileNames })
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
