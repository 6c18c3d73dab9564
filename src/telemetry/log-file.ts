/**
 * A log file: each line is in it before the call that logged it returns, so that none is lost however the process ends.
 * That costs one write to the system per line, in this thread; a log of decisions and failures has few. A transport in a
 * worker thread would be cheaper per line and lose the last ones of a process that is killed, which are the ones
 * somebody will look for.
 *
 *   daemon.log is full ─▶ daemon.4.log goes · 3 ▶ 4 · 2 ▶ 3 · 1 ▶ 2 · daemon.log ▶ daemon.1.log · a new daemon.log begins
 */
import { closeSync, fstatSync, mkdirSync, openSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, extname, join, resolve } from 'node:path'
import type { LogOutput } from './log-text.js'

export interface LogFileLimits {
  /** When a file is full, in MB; no line is split, and one that is longer stands alone. */
  readonly maxSizeMb: number
  /** Files that are kept, the one that is written included; those of former runs count. */
  readonly maxFiles: number
}

export interface LogFileOptions extends LogFileLimits {
  readonly path: string
  /** False: one file, which somebody else may move away and then call `reopen`. */
  readonly rotationEnabled: boolean
  /** The disk is full, the folder is gone: lines are missing from the file from here on. Told once. */
  readonly onError: (error: Error) => void
}

const BYTES_PER_MB = 1_048_576

export class LogFile implements LogOutput {
  readonly path: string
  readonly #options: LogFileOptions
  #limits: LogFileLimits
  #fd: number | undefined
  #bytes = 0
  #hasFailed = false

  /** Opens the file, and its folder. @throws Error with one sentence when that cannot be done. */
  constructor(options: LogFileOptions) {
    this.path = resolve(options.path)
    this.#options = options
    this.#limits = options
    try {
      this.#open()
    } catch (cause) {
      const reason = reasonOf(cause)
      throw new Error(`cannot write the log file ${this.path}: ${reason}; set LOG_FILE to another, or leave it out`, {
        cause,
      })
    }
  }

  /** A log that cannot be written must not end the process that it tells about. */
  write(text: string): void {
    try {
      let fd = this.#fd ?? this.#open()
      const bytes = Buffer.byteLength(text)
      const isFull = this.#bytes > 0 && this.#bytes + bytes > this.#limits.maxSizeMb * BYTES_PER_MB
      if (this.#options.rotationEnabled && isFull) fd = this.#rotate()
      // Not `writeSync`, which may write less than all of it.
      writeFileSync(fd, text)
      this.#bytes += bytes
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)))
    }
  }

  /** From now on these count. */
  limit(limits: LogFileLimits): void {
    this.#limits = limits
  }

  /** Goes on in a file of this name, wherever the one that is open has been moved to. */
  reopen(): void {
    try {
      this.#close()
      this.#open()
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)))
    }
  }

  #open(): number {
    mkdirSync(dirname(this.path), { recursive: true })
    this.#fd = openSync(this.path, 'a')
    this.#bytes = fstatSync(this.#fd).size
    return this.#fd
  }

  #close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd)
    this.#fd = undefined
  }

  #rotate(): number {
    this.#close()
    const last = this.#limits.maxFiles - 1
    const older = this.#olderFiles()
    for (const number of older.filter((each) => each >= last)) rmSync(this.#older(number), { force: true })
    for (const number of older.filter((each) => each < last)) renameSync(this.#older(number), this.#older(number + 1))
    if (last === 0) rmSync(this.path, { force: true })
    else renameSync(this.path, this.#older(1))
    return this.#open()
  }

  /** Numbers of the full files that are there, oldest first. */
  #olderFiles(): number[] {
    return readdirSync(dirname(this.path))
      .map((name) => numberIn(name, this.path))
      .filter((number) => number !== undefined)
      .sort((one, other) => other - one)
  }

  #older(number: number): string {
    return olderLogFile(this.path, number)
  }

  #fail(error: Error): void {
    if (!this.#hasFailed) this.#options.onError(error)
    this.#hasFailed = true
  }
}

/** Where the lines of a log file are that were written before those in it; 1 is the newest. */
export function olderLogFile(path: string, number: number): string {
  const ending = extname(path)
  return join(dirname(path), `${basename(path, ending)}.${number}${ending}`)
}

function numberIn(name: string, path: string): number | undefined {
  const ending = extname(path)
  const start = `${basename(path, ending)}.`
  const digits = name.slice(start.length, name.length - ending.length)
  return name === `${start}${digits}${ending}` && /^[1-9]\d{0,8}$/.test(digits) ? Number(digits) : undefined
}

const REASONS: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EEXIST: 'a part of its path is a file',
  EISDIR: 'it is a directory',
  ENOENT: 'its folder cannot be made',
  ENOSPC: 'the disk is full',
  ENOTDIR: 'a part of its path is a file',
  EROFS: 'the file system is read-only',
}

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return REASONS[code] ?? (error instanceof Error ? error.message : String(error))
}
