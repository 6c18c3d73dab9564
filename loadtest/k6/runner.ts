/**
 * Who carries out the k6 scripts: k6 where it can be found, else Node with stand-ins for k6's modules.
 */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export interface K6Runner {
  readonly name: 'k6' | 'Node'
  /** For the list of versions; empty where the list has it already. */
  readonly versions: Readonly<Record<string, string>>
  readonly file: string
  /** Before the script. */
  readonly args: readonly string[]
}

export const NO_K6 =
  'k6 was not found (K6, PATH, GOPATH/bin), so Node ran its scripts; `go install go.k6.io/k6@v1.8.1` brings it.'

const STAND_IN = fileURLToPath(new URL('./node/main.mjs', import.meta.url))

export function findRunner(): K6Runner {
  const k6 = findK6()
  if (k6 === undefined) return nodeRunner()
  const args = ['run', '--no-usage-report', '--quiet', '--no-color', '--log-format', 'raw']
  return { name: 'k6', versions: { k6: versionOf(k6) }, file: k6, args }
}

export const nodeRunner = (): K6Runner => ({ name: 'Node', versions: {}, file: process.execPath, args: [STAND_IN] })

/** K6 in the environment, then the PATH, then where `go install` puts it; undefined when it is nowhere. */
export function findK6(): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), join(goPath(), 'bin')]
  const candidates = [process.env.K6 ?? '', ...folders.map((folder) => join(folder, 'k6'))]
  return candidates.find((path) => path !== '' && existsSync(path))
}

const versionOf = (k6: string): string =>
  /v(\S+)/.exec(execFileSync(k6, ['version'], { encoding: 'utf8' }))?.[1] ?? 'unknown'

function goPath(): string {
  try {
    return execFileSync('go', ['env', 'GOPATH'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
  } catch {
    return join(homedir(), 'go') // No Go here: the place where it would put programs.
  }
}
