/**
 * One program run to its end in a session's place: bounded in time and output, watched over, and gone with everything that
 * it started.
 */
import { BoundedOutput } from './bounded-output.js'
import { ProcessGroup, type ProcessOptions } from './process-group.js'
import type { Supervisor } from './supervisor.js'

export interface CommandPlan extends Pick<ProcessOptions, 'command' | 'cwd' | 'env'> {
  /** What the program reads; its stdin is closed when left out. */
  readonly input?: string
  readonly timeoutMs: number
  /** Kept of stdout and of stderr, each. */
  readonly maxOutputBytes: number
}

export interface CommandEnd {
  readonly code: number
  /** It was ended, because it took too long. */
  readonly timedOut: boolean
  readonly stdout: string
  readonly stderr: string
  /** Whether some of the output is left out. */
  readonly isCut: boolean
}

/** `supervisor`: nobody watches when left out. @throws when it could not be started; the signal's reason when aborted */
export async function runCommand(
  supervisor: Pick<Supervisor, 'watch'> | undefined,
  { input, timeoutMs, maxOutputBytes, ...plan }: CommandPlan,
  signal: AbortSignal,
): Promise<CommandEnd> {
  const stdout = new BoundedOutput(maxOutputBytes)
  const stderr = new BoundedOutput(maxOutputBytes)
  const watch = await supervisor?.watch()
  signal.throwIfAborted()
  const group = new ProcessGroup({
    ...{ ...plan, watch, takesInput: input !== undefined },
    onStdout: (chunk) => stdout.add(chunk),
    onStderr: (chunk) => stderr.add(chunk),
  })
  if (input !== undefined) group.write(input, 'last')
  const end = await endOf(group, timeoutMs, signal)
  return { ...end, stdout: stdout.text(), stderr: stderr.text(), isCut: stdout.isCut || stderr.isCut }
}

/** Waits for the end, which comes by itself, by timeout or by abort; in each case nothing of the group is left. */
async function endOf(group: ProcessGroup, timeoutMs: number, signal: AbortSignal) {
  let timedOut = false
  const timer = setTimeout(() => {
    timedOut = true
    void group.end()
  }, timeoutMs)
  const onAbort = () => void group.end()
  signal.addEventListener('abort', onAbort, { once: true })
  if (signal.aborted) onAbort()
  try {
    const { code } = await group.ended()
    signal.throwIfAborted()
    return { code, timedOut }
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', onAbort)
  }
}

/** A shell's command line, behind the words of the sandbox. */
export function shellCommand(sandbox: readonly string[] = [], command: string): [string, ...string[]] {
  const [program, ...args] = [...sandbox, 'bash', '-c', command]
  return [program ?? 'bash', ...args]
}
