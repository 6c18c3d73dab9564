/**
 * Turns JSON log lines into lines for people: time, level, role, sentence, fields; stack traces below.
 */
import colours from 'picocolors'

export interface LogOutput {
  write(text: string): unknown
  /** Whether a person looks at it, who likes colours. */
  readonly isTTY?: boolean
}

type Paint = ReturnType<typeof colours.createColors>

interface Line {
  readonly [field: string]: unknown
}

/** Fields that have a place of their own in the line, or say nothing to a person. */
const PLACED = new Set(['level', 'time', 'name', 'role', 'msg', 'err'])
const LEVEL_WIDTH = 5
const TIME_START = 'YYYY-MM-DDT'.length

/** Writes readable lines to `output`, with colours when it is a terminal. */
export function textWriter(output: LogOutput): { write(line: string): void } {
  const paint = colours.createColors(output.isTTY === true && colours.isColorSupported)
  return {
    write(line) {
      output.write(`${formatLine(JSON.parse(line) as Line, paint)}\n`)
    },
  }
}

function formatLine(line: Line, paint: Paint): string {
  const level = String(line.level)
  const time = paint.dim(String(line.time).slice(TIME_START, -1))
  const fields = Object.entries(line).filter(([name]) => !PLACED.has(name))
  const shown = fields.map(([name, value]) => paint.dim(`${name}=${formatValue(value)}`))
  const sentence = line.msg === undefined ? undefined : plain(String(line.msg))
  return [time, levelColour(level, paint)(level.toUpperCase().padEnd(LEVEL_WIDTH)), line.role, sentence, ...shown]
    .filter((part) => part !== undefined && part !== '')
    .join(' ')
    .concat(formatError(line.err, paint))
}

function levelColour(level: string, paint: Paint): (text: string) => string {
  if (level === 'error') return paint.red
  if (level === 'warn') return paint.yellow
  return level === 'info' ? paint.green : paint.dim
}

/** Nobody whose words are logged may move the cursor or colour the line. */
const plain = (text: string): string => text.replaceAll(/[^\P{Cc}\n\t]/gu, '')

function formatValue(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '')
  return /^[^\s"=\p{Cc}]+$/u.test(text) ? text : plain(JSON.stringify(text))
}

function formatError(error: unknown, paint: Paint): string {
  if (typeof error !== 'object' || error === null) return ''
  const { stack, message, cause } = error as { stack?: string; message?: string; cause?: unknown }
  const text = plain(stack || message || JSON.stringify(error)).replaceAll('\n', '\n    ')
  return `\n    ${paint.red(text)}${cause ? `\n    caused by:${formatError(cause, paint)}` : ''}`
}
