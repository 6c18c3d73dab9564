/**
 * Options that several commands have, and the values that they take.
 */
import { type Command, InvalidArgumentError, Option } from 'commander'

const MAX_PORT = 65_535
const MAX_LINES = 100_000
const DEFAULT_LINES = 50

/** Options of all commands that talk to a running daemon. */
export const clientOptions = (command: Command): Command =>
  command
    .addOption(urlOption())
    .option('-p, --port <port>', 'port of the daemon; default DAEMON_PORT', portNumber)
    .option('--host <address>', 'address of the daemon; default DAEMON_HOST')
    .addOption(configOption())
    .option('--token <token>', 'token to identify with; default DAEMON_TOKEN')
    .option('--api-key <key>', 'API key to identify with; default DAEMON_API_KEY')
    .option('--tenant <tenant>', 'whose sessions, when this machine signs its own token; default local')
    .addOption(jsonOption())
    .addHelpText(
      'after',
      `
Without a token and a key, and where DAEMON_JWT_SECRET is set (environment, .env or --config), the command signs a token
of 15 minutes for itself: on the daemon's own machine nothing more is needed. It is shown to that daemon only.`,
    )

/** Options of all commands that show a log. */
export const logsOptions = (command: Command): Command =>
  command
    .description("the end of the daemon's log file")
    .option('-f, --follow', 'go on with what is written from now on, until Ctrl-C')
    .option('-n, --lines <count>', 'lines to begin with', wholeNumber(0, MAX_LINES), DEFAULT_LINES)
    .option('--json', 'as they stand in the file')

export const urlOption = (): Option =>
  new Option('--url <address>', 'address of the daemon, such as ws://127.0.0.1:8787')
export const jsonOption = (): Option => new Option('--json', 'print JSON, one value per line')
export const configOption = (): Option => new Option('-c, --config <file>', 'settings file, JSON5 or YAML')

export const portNumber = (text: string): number => wholeNumber(0, MAX_PORT, 'a port is a')(text)

export function wholeNumber(min: number, max: number, what = 'it must be a'): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (/^\d+$/.test(text) && value >= min && value <= max) return value
    throw new InvalidArgumentError(`${what} whole number from ${min} to ${max}.`)
  }
}

/** For an option that may be given several times. */
export const collected = (value: string, before: readonly string[] = []): readonly string[] => [...before, value]
