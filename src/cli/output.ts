/**
 * What commands print: results on standard output, everything about the way there on standard error. Colours only on a
 * terminal, and never with NO_COLOR.
 */
import pc from 'picocolors'

export type Colours = ReturnType<typeof pc.createColors>

/** No colours: for files, pipes and tests. */
export const NO_COLOURS: Colours = pc.createColors(false)

export class Output {
  readonly colours: Colours
  /** Standard error has its own: it often is a terminal when standard output is a pipe. */
  readonly noteColours: Colours

  constructor(
    private readonly stdout: NodeJS.WriteStream = process.stdout,
    private readonly stderr: NodeJS.WriteStream = process.stderr,
    env: NodeJS.ProcessEnv = process.env,
  ) {
    this.colours = coloursOf(stdout, env)
    this.noteColours = coloursOf(stderr, env)
    // A reader such as `head` has enough: what is left to say interests nobody.
    stdout.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE') process.exit()
      throw error
    })
  }

  write(text: string): void {
    this.stdout.write(text)
  }

  line(text = ''): void {
    this.write(`${text}\n`)
  }

  /** One JSON value on one line, for programs. */
  json(value: unknown): void {
    this.line(JSON.stringify(value))
  }

  /** A sentence beside the result. */
  note(text: string): void {
    this.stderr.write(`${text}\n`)
  }

  /** A step of long work: shown to people only. */
  step(text: string): void {
    if (this.stderr.isTTY) this.note(this.noteColours.dim(`  ✓ ${text}`))
  }
}

const coloursOf = (stream: NodeJS.WriteStream, env: NodeJS.ProcessEnv): Colours =>
  pc.createColors(stream.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb')

const COLUMN_GAP = '  '

/** Rows as lines with aligned columns; the first row is the heading, when there is one. Cells hold no colours yet. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const columns = Math.max(0, ...rows.map((row) => row.length))
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0)),
  )
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join(COLUMN_GAP)
      .trimEnd(),
  )
}

/** Names and values below each other, the names dimmed. */
export function fields(values: Readonly<Record<string, string>>, { dim }: Colours): string[] {
  const width = Math.max(...Object.keys(values).map((name) => name.length))
  return Object.entries(values).map(([name, value]) => `${dim(name.padEnd(width))}${COLUMN_GAP}${value}`)
}

/**
 * Text of models, tools and clients without control characters: it must not be able to move the cursor, change the title
 * or the clipboard of whoever reads it. Line ends and tabs stay.
 */
export const printable = (text: string): string => text.replaceAll(/[^\P{Cc}\n\t]/gu, '')

/** The text on one line of at most `limit` characters. */
export function shortened(text: string, limit: number): string {
  const line = printable(text).replaceAll(/\s+/g, ' ').trim()
  return line.length <= limit ? line : `${line.slice(0, limit - 1)}…`
}

const SECOND = 1_000
const MINUTE = 60 * SECOND
const HOUR = 60 * MINUTE
const DAY = 24 * HOUR

/** `850 ms`, `4.2 s`, `12 min`, `3 h`, `5 d`. */
export function duration(ms: number): string {
  if (ms < SECOND) return `${Math.max(0, Math.round(ms))} ms`
  if (ms < MINUTE) return `${(ms / SECOND).toFixed(1)} s`
  if (ms < HOUR) return `${Math.floor(ms / MINUTE)} min`
  if (ms < 2 * DAY) return `${Math.floor(ms / HOUR)} h`
  return `${Math.floor(ms / DAY)} d`
}
