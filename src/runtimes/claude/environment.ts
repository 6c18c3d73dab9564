/**
 * All that a process of Claude Code sees of the world around it: directories of its own, the way to the model, and the
 * switches that keep it from doing anything else.
 */
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DEFAULT_PATH } from '../tools/bash.js'

/** Failed calls are tried again so often, with waits that double from half a second: some 8 s in all. */
const MAX_RETRIES = 4

/** Directories of one process, fresh with each and gone with it. */
export interface ProcessHome {
  readonly root: string
  /** What it and its commands set down for a while. */
  readonly scratch: string
  remove(): Promise<void>
}

/** Directories of other workers on this machine that were killed: they hold parts of conversations. */
export async function removeHomesOfTheDead(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const owner = Number(/^cc-(\d+)-/.exec(name)?.[1])
    if (owner > 0 && !isAlive(owner)) await rm(join(tmpdir(), name), { recursive: true, force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH')
  }
}

export async function openHome(): Promise<ProcessHome> {
  // Short: sockets below it may have paths of 107 bytes.
  const root = await mkdtemp(join(tmpdir(), `cc-${process.pid}-`))
  const scratch = join(root, 't')
  await mkdir(scratch, { mode: 0o700 })
  return { root, scratch, remove: () => rm(root, { recursive: true, force: true, maxRetries: 3 }) }
}

/** An allow-list: nothing of the daemon's own environment. */
export function environment(home: ProcessHome, gateway: string, passKey: string): Record<string, string> {
  return {
    PATH: DEFAULT_PATH,
    HOME: home.root,
    TMPDIR: home.scratch,
    LANG: 'C.UTF-8',
    TERM: 'dumb',
    NO_COLOR: '1',
    GIT_TERMINAL_PROMPT: '0',
    CLAUDE_CONFIG_DIR: join(home.root, 'c'),
    CLAUDE_CODE_TMPDIR: home.scratch,
    ANTHROPIC_BASE_URL: gateway,
    ANTHROPIC_API_KEY: passKey,
    CLAUDE_CODE_MAX_RETRIES: String(MAX_RETRIES),
    // No telemetry, updates, error reports and look-ups: nothing but the messages endpoint.
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    DISABLE_AUTOUPDATER: '1',
    DISABLE_TELEMETRY: '1',
    DISABLE_ERROR_REPORTING: '1',
    // An answer that breaks off is asked for once more as a stream: what clients see must come as it is written.
    CLAUDE_CODE_DISABLE_NONSTREAMING_FALLBACK: '1',
    // A turn ends with everything that it began.
    CLAUDE_CODE_DISABLE_BACKGROUND_TASKS: '1',
    CLAUDE_CODE_DISABLE_CRON: '1',
    // What it remembers is in the transcript and the workspace, or it would be lost with this process.
    CLAUDE_CODE_DISABLE_AUTO_MEMORY: '1',
    CLAUDE_CODE_DISABLE_FILE_CHECKPOINTING: '1',
  }
}
