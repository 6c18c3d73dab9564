/** How a script is told what to do, and how it says so. */
import { type ParseArgsConfig, parseArgs } from 'node:util'

const EXIT = { ok: 0, usage: 2 } as const

/**
 * The options of the running script. Ends the process with `usage` on standard output when `--help` is among them, and with
 * 2 and `usage` on standard error when they cannot be understood.
 */
export function readOptions<const T extends NonNullable<ParseArgsConfig['options']>>(usage: string, options: T) {
  endIfAskedForHelp(process.argv, usage)
  try {
    return parseArgs({ options, strict: true, allowPositionals: false }).values
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n\n${usage}`)
    return process.exit(EXIT.usage)
  }
}

/** Ends the process with `usage` on standard output when `--help` or `-h` is among `args`. */
export function endIfAskedForHelp(args: readonly string[], usage: string): void {
  if (!args.includes('--help') && !args.includes('-h')) return
  process.stdout.write(usage)
  process.exit(EXIT.ok)
}
