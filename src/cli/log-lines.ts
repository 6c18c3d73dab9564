/**
 * Reads a log file from its end: the last lines of it and of the full files before it, and what is written to it from
 * then on, also when it becomes full and another begins.
 */
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs'
import { olderLogFile } from '../telemetry/log-file.js'

const CHUNK_BYTES = 65_536
/** Full files that are looked into; `LOG_MAX_FILES` may keep more. */
const MAX_OLDER = 1_000
const NEWLINE = 0x0a

/** How long the file is now; 0 when there is none. */
export function positionOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0
}

/** The last lines of one file, of what stands between the bytes `from` and `upTo`. */
export function lastLines(path: string, count: number, from = 0, upTo = positionOf(path)): string[] {
  const size = Math.min(positionOf(path), upTo)
  // A new file stands in the place of the one that `from` was about.
  const floor = from > size ? 0 : from
  if (count === 0 || size === floor) return []
  const fd = openSync(path, 'r')
  try {
    let [start, parts, lines] = [size, [] as Buffer[], 0]
    while (start > floor && lines <= count) {
      const length = Math.min(CHUNK_BYTES, start - floor)
      start -= length
      const part = readPart(fd, start, length)
      lines += part.reduce((sum, byte) => sum + (byte === NEWLINE ? 1 : 0), 0)
      parts = [part, ...parts]
    }
    return linesIn(Buffer.concat(parts)).slice(-count)
  } finally {
    closeSync(fd)
  }
}

/** The last lines of the log, from as many of its files as that takes; of the newest one what stands before `upTo`. */
export function lastLinesOfAll(path: string, count: number, upTo = positionOf(path)): string[] {
  let lines = lastLines(path, count, 0, upTo)
  for (let number = 1; lines.length < count && number <= MAX_OLDER; number++) {
    const older = olderLogFile(path, number)
    if (!statSync(older, { throwIfNoEntry: false })) break
    lines = [...lastLines(older, count - lines.length), ...lines]
  }
  return lines
}

/** Goes through a log file from its present end on. */
export class LogFollower {
  /** Where it begins, in bytes. */
  readonly from: number
  readonly #path: string
  #fd: number | undefined
  #inode = 0
  #at = 0
  #rest: Buffer = Buffer.alloc(0)

  /** The file may not be there yet. */
  constructor(path: string) {
    this.#path = path
    this.#open(path)
    if (this.#fd !== undefined) this.#at = fstatSync(this.#fd).size
    this.from = this.#at
  }

  /** Whole lines that have been written since the last call. */
  next(): string[] {
    const lines = this.#read()
    const now = statSync(this.#path, { throwIfNoEntry: false })
    if (!now || now.ino === this.#inode) return lines
    // The file became full: what follows stands in those that have begun since, the oldest first.
    lines.push(...this.#read())
    for (const path of this.#newer()) {
      this.#close()
      this.#open(path)
      lines.push(...this.#read())
    }
    return lines
  }

  close(): void {
    this.#close()
  }

  #newer(): string[] {
    if (this.#fd === undefined) return [this.#path]
    const newer = [this.#path]
    for (let number = 1; number <= MAX_OLDER; number++) {
      const older = olderLogFile(this.#path, number)
      const found = statSync(older, { throwIfNoEntry: false })
      if (!found) return [this.#path] // The one that was read is gone: whoever was so slow begins with the present one.
      if (found.ino === this.#inode) break
      newer.unshift(older)
    }
    return newer
  }

  #open(path: string): void {
    if (!statSync(path, { throwIfNoEntry: false })) return
    this.#fd = openSync(path, 'r')
    this.#inode = fstatSync(this.#fd).ino
    this.#at = 0
  }

  #close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd)
    this.#fd = undefined
  }

  #read(): string[] {
    if (this.#fd === undefined) return []
    const { size } = fstatSync(this.#fd)
    // Somebody has emptied it.
    if (size < this.#at) this.#at = 0
    if (size === this.#at) return []
    const fresh = Buffer.concat([this.#rest, readPart(this.#fd, this.#at, size - this.#at)])
    this.#at = size
    const end = fresh.lastIndexOf(NEWLINE) + 1
    this.#rest = fresh.subarray(end)
    return linesIn(fresh.subarray(0, end))
  }
}

function readPart(fd: number, start: number, length: number): Buffer {
  const part = Buffer.alloc(length)
  return part.subarray(0, readSync(fd, part, 0, length, start))
}

function linesIn(bytes: Buffer): string[] {
  const text = bytes.toString('utf8').replace(/\n$/, '')
  return text === '' ? [] : text.split('\n')
}
