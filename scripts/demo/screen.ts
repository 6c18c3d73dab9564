/**
 * Where the demo shows what happens: colours and a redrawn block on a terminal, plain lines elsewhere, nothing with
 * `--json`.
 */
import pc from 'picocolors'

const DEFAULT_COLUMNS = 100
const DEFAULT_ROWS = 24
const ESCAPE = String.fromCharCode(27)
const COLOUR_CODE = new RegExp(`${ESCAPE}\\[[0-9;]*m`, 'g')

export class Screen {
  readonly isTerminal: boolean
  readonly colour: ReturnType<typeof pc.createColors>
  /** Lines of the block that stands at the end of the output now. */
  #block = 0

  /** `silent` shows nothing at all. */
  constructor(
    private readonly output: NodeJS.WriteStream,
    env: NodeJS.ProcessEnv,
    private silent: boolean,
  ) {
    this.isTerminal = output.isTTY === true && env.TERM !== 'dumb'
    this.colour = pc.createColors(this.isTerminal && !env.NO_COLOR)
  }

  get rows(): number {
    return this.output.rows ?? DEFAULT_ROWS
  }

  get columns(): number {
    return this.output.columns ?? DEFAULT_COLUMNS
  }

  /** Shows nothing from now on. */
  close(): void {
    if (this.#block > 0) this.line()
    this.silent = true
  }

  /** Text as it is, for what grows on the current line. */
  write(text: string): void {
    if (!this.silent) this.output.write(text)
  }

  line(text = ''): void {
    this.write(`${text}\n`)
  }

  heading(text: string): void {
    this.line(`\n${this.colour.bold(text)}`)
  }

  /** Shows lines in the place of the former block; for terminals. */
  redraw(lines: readonly string[]): void {
    const up = this.#block > 0 ? `${ESCAPE}[${this.#block}A${ESCAPE}[J` : ''
    this.write(`${up}${lines.map((text) => `${this.#fitted(text)}\n`).join('')}`)
    this.#block = lines.length
  }

  /** What follows stands below the block, which stays as it is. */
  endBlock(): void {
    this.#block = 0
  }

  // A line that wraps would make the block higher than we believe. Cut lines lose their colours.
  #fitted(text: string): string {
    const plain = text.replaceAll(COLOUR_CODE, '')
    return plain.length < this.columns ? text : plain.slice(0, this.columns - 1)
  }
}

/** `3,412 ms`: thousands apart, the same in every locale. */
export const number = (value: number): string => Math.round(value).toLocaleString('en-US')

/** Dollars with the digits that small amounts need. */
export const dollars = (value: number): string => `$${value.toFixed(value < 1 ? 5 : 2)}`

export const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1)} s`
