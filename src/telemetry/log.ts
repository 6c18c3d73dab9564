/**
 * The log of a process: one JSON object per line for machines, or one readable line for people.
 */
import { type Logger, pino } from 'pino'
import type { LogFormat, LogLevel } from '../config/schema.js'
import { type LogOutput, textWriter } from './log-text.js'
import { redact, redactText } from './redact.js'

/** Fields first, then one sentence; an error goes into the field `err`. Secrets are taken out of both. */
export interface Log {
  debug(fields: object, text: string): void
  info(fields: object, text: string): void
  warn(fields: object, text: string): void
  error(fields: object, text: string): void
  /** A log that adds `fields` to each of its lines. */
  child(fields: object): Log
}

export interface LogOptions {
  readonly level: LogLevel
  readonly format: LogFormat
  /** Name of the node. */
  readonly name: string
  readonly role: string
  /** Where lines go; default standard output. */
  readonly output?: LogOutput
}

export function createLog(options: LogOptions): Log {
  const output = options.output ?? process.stdout
  const logger = pino(
    {
      level: options.level,
      base: { name: options.name, role: options.role },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      // Errors are plain objects by the time pino sees them.
      serializers: { err: (value: unknown) => value },
    },
    options.format === 'text' ? textWriter(output) : output,
  )
  return withoutSecrets(logger)
}

// Not done by pino's own redaction: that one knows only fixed paths, and neither sentences nor shapes of values.
function withoutSecrets(logger: Logger): Log {
  const write =
    (level: LogLevel) =>
    (fields: object, text: string): void => {
      if (logger.isLevelEnabled(level)) logger[level](redact(fields) as object, redactText(text))
    }
  return {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    child: (fields) => withoutSecrets(logger.child(redact(fields) as object)),
  }
}

/** A log that says nothing, for parts that are used without one. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => silentLog }
