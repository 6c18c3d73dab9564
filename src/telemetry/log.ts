/**
 * The log of a process: one JSON object per line for machines, or one readable line for people.
 */
import { type Logger, pino } from 'pino'
import type { LogFormat, LogLevel } from '../config/schema.js'
import { LogLevelSwitch } from './log-level.js'
import { type LogOutput, textWriter } from './log-text.js'
import { HiddenWords, redact, redactText } from './redact.js'

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
  /** A switch can be turned later, for this log and all its children. */
  readonly level: LogLevel | LogLevelSwitch
  readonly format: LogFormat
  /** Name of the node. */
  readonly name: string
  readonly role: string
  /** Where lines go; default standard output. */
  readonly output?: LogOutput
  /** Where each line goes as well: people look at the output, the file keeps it. */
  readonly file?: LogOutput | undefined
  /** Words that no line may hold, whatever they look like. */
  readonly secrets?: readonly string[] | HiddenWords
}

export function createLog(options: LogOptions): Log {
  const { level, format, name, role, output = process.stdout, file, secrets = [] } = options
  const hidden = secrets instanceof HiddenWords ? secrets : new HiddenWords(secrets)
  const outputs = file === undefined ? [output] : [output, file]
  const logger = pino(
    {
      // The switch decides, before anything is taken apart for the line.
      level: 'debug',
      base: { name, role },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      // Errors are plain objects by the time pino sees them.
      serializers: { err: (value: unknown) => value },
    },
    writerTo(
      outputs.map((each) => (format === 'text' ? textWriter(each) : each)),
      (line) => hidden.hide(line),
    ),
  )
  return withoutSecrets(logger, typeof level === 'string' ? new LogLevelSwitch(level) : level)
}

function writerTo(
  writers: readonly { write(line: string): unknown }[],
  hide: (line: string) => string,
): { write(line: string): void } {
  return {
    write(line) {
      const shown = hide(line)
      for (const writer of writers) writer.write(shown)
    },
  }
}

// Not done by pino's own redaction: that one knows only fixed paths, and neither sentences nor shapes of values.
function withoutSecrets(logger: Logger, levels: LogLevelSwitch): Log {
  const write =
    (level: LogLevel) =>
    (fields: object, text: string): void => {
      if (levels.allows(level)) logger[level](redact(fields) as object, redactText(text))
    }
  return {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    child: (fields) => withoutSecrets(logger.child(redact(fields) as object), levels),
  }
}

/** A log that says nothing, for parts that are used without one. */
export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => silentLog }
