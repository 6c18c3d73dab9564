/**
 * The pid file of this process: claimed before it starts, completed with the port, removed when it ends.
 */
import type { Config } from '../config/load.js'
import { CommandFailure } from './exit.js'
import {
  claimPidFile,
  ensurePidFolder,
  type FoundNode,
  forgetDead,
  pidFolder,
  pidPath,
  type RunningNode,
  releasePidFile,
  rewritePidFile,
  runningNodes,
  thisNode,
} from './pid-files.js'

/** What `logs` and `stop` look for. */
type MoreOfNode = Pick<RunningNode, 'log' | 'supervisor'>

interface Warnings {
  warn(fields: object, text: string): void
}

export class PidFile {
  private constructor(
    private readonly path: string | undefined,
    private readonly node: RunningNode,
  ) {}

  /**
   * Writes the file at `path`, or among those of this user. Without a place of one's own choice a file that cannot be
   * written is only a warning: a container with a read-only disk needs none.
   * @throws CommandFailure when another daemon holds the port or the file.
   */
  static claim(server: Config['server'], path: string | undefined, log: Warnings, more: MoreOfNode = {}): PidFile {
    const { role, name, host, port } = server
    const node = thisNode({ role, name, host, port: role === 'all' || role === 'edge' ? port : 0, ...more })
    try {
      const folder = pidFolder()
      if (path === undefined) ensurePidFolder(folder)
      forgetDead(folder)
      const holder = twinOf(node, folder) ?? claimPidFile(path ?? pidPath(folder), node)
      if (holder) throw alreadyRunning(holder)
      return new PidFile(path ?? pidPath(folder), node).#untilExit()
    } catch (error) {
      if (error instanceof CommandFailure) throw error
      const reason = error instanceof Error ? error.message : String(error)
      if (path !== undefined) throw new CommandFailure(`the pid file cannot be written: ${reason}`)
      log.warn({ reason }, '`orchestrator-daemon stop` will not find this process: it could not write its pid file')
      return new PidFile(undefined, node)
    }
  }

  /** The real port of a daemon that took a free one. */
  listensOn(port: number): void {
    if (this.path !== undefined && port !== this.node.port) rewritePidFile(this.path, { ...this.node, port })
  }

  // Synchronous, so that it runs however the process ends of its own will.
  #untilExit(): this {
    const { path, node } = this
    if (path !== undefined) process.once('exit', () => releasePidFile(path, node.pid))
    return this
  }
}

/** Another daemon of ours on the same address: said at once, and with its pid, rather than when it cannot listen. */
const twinOf = ({ pid, host, port }: RunningNode, folder: string): FoundNode | undefined =>
  port === 0 ? undefined : runningNodes(folder).find((it) => it.pid !== pid && it.port === port && it.host === host)

function alreadyRunning({ pid, port }: RunningNode): CommandFailure {
  const place = port === 0 ? '' : ` on port ${port}`
  return new CommandFailure(`already running, pid ${pid}${place}; stop it with \`orchestrator-daemon stop\``)
}
