/**
 * bash_execute: a command line in the workspace, with nothing of the daemon's environment.
 */
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { type CommandEnd, type CommandPlan, runCommand, shellCommand } from './command-run.js'
import { pathSchema } from './files.js'
import type { Supervisor } from './supervisor.js'
import { defineTool, type Tool, ToolFailure } from './tool.js'
import { locate } from './workspace-path.js'

/** Kept of stdout and of stderr, each. */
export const MAX_OUTPUT_BYTES = 64 * 1024
const DEFAULT_TIMEOUT_MS = 30_000
/** Builds and test runs fit; a command that needs longer would hold the turn's slot. */
const MAX_TIMEOUT_MS = 600_000
const MAX_COMMAND_CHARS = 100_000
/** What `timeout(1)` exits with. */
const TIMED_OUT_CODE = 124
/** Holds temporary files of commands; not part of the session's files. */
export const TMP_DIRECTORY = '.tmp'
/** Where Debian keeps programs, and our own Node. */
export const DEFAULT_PATH = `/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:${dirname(process.execPath)}`

export interface BashOptions {
  /** PATH of the commands; `DEFAULT_PATH` when left out. */
  readonly path?: string
  /**
   * Program and arguments put before `bash -c …`: what `detectSandbox` found, or an operator's own (bubblewrap, nsjail).
   * It must pass stdout, stderr and the exit code through. None when left out.
   */
  readonly sandbox?: readonly string[]
  /** Suspends commands while this process may have been replaced, and ends them with it. Nobody does when left out. */
  readonly supervisor?: Pick<Supervisor, 'watch'>
}

/** A non-zero exit is a completed result. A timeout too: exit code 124, with `timedOut` and the output so far. */
export function bashExecute(options: BashOptions = {}): Tool {
  return defineTool({
    name: 'bash_execute',
    description:
      'Runs a bash command in the workspace. stdin is closed; nothing keeps running after the call; long output is cut in the middle.',
    input: z.object({
      command: z.string().min(1).max(MAX_COMMAND_CHARS),
      cwd: pathSchema.optional().describe('directory inside the workspace'),
      timeout: z.number().int().min(1).max(MAX_TIMEOUT_MS).default(DEFAULT_TIMEOUT_MS).describe('milliseconds'),
    }),
    effect: () => 'once',
    async run({ command, cwd, timeout }, { workspace, signal }) {
      const directory = await locate(workspace, cwd ?? '.')
      await mkdir(join(workspace, TMP_DIRECTORY), { recursive: true, mode: 0o700 })
      const plan = {
        command: shellCommand(options.sandbox, command),
        cwd: directory.absolute,
        env: commandEnvironment(workspace, options.path),
        timeoutMs: timeout,
        maxOutputBytes: MAX_OUTPUT_BYTES,
      }
      const { code, timedOut, stdout, stderr, isCut } = await run(options, plan, signal)
      return {
        stdout,
        stderr,
        exitCode: timedOut ? TIMED_OUT_CODE : code,
        command,
        ...(timedOut && { timedOut: true, note: `stopped after ${timeout} ms` }),
        ...(isCut && { truncated: true }),
      }
    },
  })
}

async function run({ supervisor }: BashOptions, plan: CommandPlan, signal: AbortSignal): Promise<CommandEnd> {
  try {
    return await runCommand(supervisor, plan, signal)
  } catch (thrown) {
    throw notStarted(thrown, signal)
  }
}

function notStarted(thrown: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason
  return new ToolFailure(`The command could not be started: ${thrown instanceof Error ? thrown.message : thrown}`)
}

/** All that a program of a session sees: an allow-list, because a deny-list would miss the next secret. */
export function commandEnvironment(workspace: string, path = DEFAULT_PATH): Record<string, string> {
  return {
    PATH: path,
    HOME: workspace,
    TMPDIR: join(workspace, TMP_DIRECTORY),
    LANG: 'C.UTF-8',
    TERM: 'dumb',
    NO_COLOR: '1',
    GIT_TERMINAL_PROMPT: '0',
  }
}
