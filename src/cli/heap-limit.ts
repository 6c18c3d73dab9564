/**
 * DAEMON_MAX_HEAP_MB, and what a charter allows. V8 takes its limit only when a process starts, so the daemon is started anew as a child of this
 * process, which then does nothing but pass on signals and the exit code (docs/decisions/0012-heap-limit.md).
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { constants } from 'node:os'
import { getHeapStatistics } from 'node:v8'

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const
type Signal = (typeof SIGNALS)[number]

/** Set for the child, because other programs that start a daemon may open a channel to it too. */
const CHILD_MARK = 'ORCHESTRATOR_HEAP_CHILD'

/**
 * Whoever signals a whole group (a terminal, systemd) has signalled the child too by then. The child would take the same
 * signal passed on for a second one, and end at once.
 */
const GROUP_SIGNAL_MS = 250
/** A signal passed on so soon after the child's own is the same one. */
const SAME_SIGNAL_MS = 1_000
/** What shells add to the number of the signal that ended a process. */
const SIGNAL_EXIT_BASE = 128

const MB = 1024 * 1024
/** What the README of the reference names. */
const USUAL_MAX_HEAP_MB = 2048

const HEAP_OPTION = /^--max[-_]old[-_]space[-_]size=(\d+)$/
/** What Node.js is told. */
export const heapOption = (maxHeapMb: number): string => `--max-old-space-size=${maxHeapMb}`

type Environment = Readonly<Record<string, string | undefined>>

export interface HeapLimit {
  /** Undefined: nobody has said anything. */
  readonly maxHeapMb: number | undefined
  /** It stands in the settings; else it is a charter's, which bounds and asks for nothing. */
  readonly isSetting: boolean
}

/**
 * Whether this process keeps to the limit: it was started with it, or with a smaller one that somebody chose in NODE_OPTIONS. One
 * among the arguments is that of whoever starts daemons in the usual way (`usualHeapMb`), and less than what a setting asks for.
 */
export function hasHeapLimit(
  { maxHeapMb, isSetting }: HeapLimit,
  env: Environment,
  args: readonly string[] = process.execArgv,
): boolean {
  if (maxHeapMb === undefined) return true
  // The last one counts, and what stands in the environment comes first.
  const [chosen, usual] = [heapIn((env.NODE_OPTIONS ?? '').split(/\s+/)), heapIn(args)]
  const given = usual ?? chosen
  if (given === undefined || given > maxHeapMb) return false
  return given === maxHeapMb || usual === undefined || !isSetting
}

/**
 * The limit of a daemon for which a process is started anyhow, so that it costs none: what is said, else 2048 MB, or less where
 * Node.js would take less on this machine. Undefined where Node.js has been told already.
 */
export function usualHeapMb(
  { maxHeapMb, isSetting }: HeapLimit,
  env: Environment,
  args: readonly string[] = process.execArgv,
): number | undefined {
  if (isSetting) return maxHeapMb
  const isTold = (heapIn(args) ?? heapIn((env.NODE_OPTIONS ?? '').split(/\s+/))) !== undefined
  if (isTold) return maxHeapMb
  const machineMb = Math.floor(getHeapStatistics().heap_size_limit / MB)
  return Math.min(USUAL_MAX_HEAP_MB, machineMb, maxHeapMb ?? USUAL_MAX_HEAP_MB)
}

function heapIn(options: readonly string[]): number | undefined {
  const last = options.findLast((option) => HEAP_OPTION.test(option))
  return last === undefined ? undefined : Number(HEAP_OPTION.exec(last)?.[1])
}

/** Runs this command line anew with the limit. Resolves with the exit code. */
export function runWithHeapLimit(maxHeapMb: number): Promise<number> {
  const args = [...process.execArgv, heapOption(maxHeapMb), ...process.argv.slice(1)]
  const child = spawn(process.execPath, args, {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: { ...process.env, [CHILD_MARK]: '1' },
  })
  for (const signal of SIGNALS) process.on(signal, () => passOn(child, signal))
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code, signal) => resolve(code ?? SIGNAL_EXIT_BASE + constants.signals[signal ?? 'SIGKILL']))
  })
}

function passOn(child: ChildProcess, signal: Signal): void {
  setTimeout(() => {
    if (child.connected) child.send({ signal })
  }, GROUP_SIGNAL_MS)
}

/** In the child: takes signals that are passed on, and ends when the process that it was started from is gone. */
export function heedParent(): void {
  if (!process.send || process.env[CHILD_MARK] === undefined) return
  delete process.env[CHILD_MARK] // Programs that the daemon starts are not children of this kind.
  const seenAt = new Map<Signal, number>()
  for (const signal of SIGNALS) process.on(signal, () => seenAt.set(signal, performance.now()))
  process.on('message', (message) => {
    const signal = signalIn(message)
    const silentMs = performance.now() - ((signal && seenAt.get(signal)) ?? Number.NEGATIVE_INFINITY)
    if (!signal || silentMs < SAME_SIGNAL_MS) return
    process.emit(signal)
    seenAt.delete(signal) // One more of these is a second signal.
  })
  // Whoever killed that process meant this one.
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))
  process.channel?.unref()
}

const signalIn = (message: unknown): Signal | undefined =>
  SIGNALS.find((signal) => (message as { readonly signal?: unknown } | null)?.signal === signal)
