/**
 * A log file: each line is in it before the call that logged it returns, so that none is lost however the process ends.
 * That costs one write to the system per line, in this thread; a log of decisions and failures has few. A transport in a
 * worker thread would be cheaper per line and lose the last ones of a process that is killed, which are the ones
 * somebody will look for.
 */
import { resolve } from 'node:path'
import { pino } from 'pino'
import roll from 'pino-roll'
import type { LogOutput } from './log-text.js'

export interface LogFileOptions {
  /** With rotation the files have a number before the ending: `daemon.log` is `daemon.1.log`, `daemon.2.log`, … */
  readonly path: string
  readonly rotationEnabled: boolean
  /** When a file is full, in MB. A line is never split, and a burst of one moment stays together. */
  readonly maxSizeMb: number
  /** Files that are kept, the one that is written included. */
  readonly maxFiles: number
  /** The disk is full, the file is gone: lines are missing from the file from here on. Told once. */
  readonly onError: (error: Error) => void
}

/** Opens the file, and its folder. @throws Error with one sentence when that cannot be done. */
export async function openLogFile(options: LogFileOptions): Promise<LogOutput> {
  const file = resolve(options.path)
  try {
    const stream = options.rotationEnabled
      ? await roll({ file, size: `${options.maxSizeMb}m`, limit: limitOf(options), mkdir: true, sync: true })
      : pino.destination({ dest: file, append: true, mkdir: true, sync: true })
    return guarded(stream, options.onError)
  } catch (cause) {
    throw new Error(`cannot write the log file ${file}: ${reasonOf(cause)}; set LOG_FILE to another, or leave it out`, {
      cause,
    })
  }
}

// Files of former runs count too: a process that restarts often would fill the disk otherwise.
const limitOf = ({ maxFiles }: LogFileOptions) => ({ count: maxFiles, removeOtherLogFiles: true })

interface FileStream {
  write(text: string): unknown
  on(event: 'error', handler: (error: Error) => void): unknown
}

/** A log that cannot be written must not end the process that it tells about. */
function guarded(stream: FileStream, onError: (error: Error) => void): LogOutput {
  let failed = false
  const fail = (error: Error): void => {
    if (!failed) onError(error)
    failed = true
  }
  stream.on('error', fail)
  return {
    write(text) {
      try {
        stream.write(text)
      } catch (error) {
        fail(error instanceof Error ? error : new Error(String(error)))
      }
    },
  }
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
