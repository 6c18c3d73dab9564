/**
 * An MCP server as a process of its session: in the sandbox and the workspace, with nothing of the daemon's environment,
 * suspended and ended like a command of the session.
 */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { ReadBuffer, serializeMessage } from '@modelcontextprotocol/sdk/shared/stdio.js'
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import type { JSONRPCMessage } from '@modelcontextprotocol/sdk/types.js'
import { commandEnvironment, TMP_DIRECTORY } from '../tools/bash.js'
import { BoundedOutput } from '../tools/bounded-output.js'
import { ProcessGroup } from '../tools/process-group.js'
import type { Supervisor } from '../tools/supervisor.js'
import type { StdioServer } from './servers.js'

/** Of one message. */
export const MAX_MESSAGE_BYTES = 4 * 1024 * 1024
/** Kept of what it says beside the protocol, for the log. */
const MAX_SAID_BYTES = 4 * 1024

export interface ProcessPlace {
  /** The session's own directory. */
  readonly workspace: string
  /** Words to put before the program; see `detectSandbox`. */
  readonly sandbox: readonly string[]
  /** Nobody watches when left out. */
  readonly supervisor?: Pick<Supervisor, 'watch'>
}

export class StdioTransport implements Transport {
  onclose?: () => void
  onerror?: (error: Error) => void
  onmessage?: <T extends JSONRPCMessage>(message: T) => void
  readonly #server: StdioServer
  readonly #place: ProcessPlace
  readonly #incoming = new ReadBuffer({ maxBufferSize: MAX_MESSAGE_BYTES })
  readonly #said = new BoundedOutput(MAX_SAID_BYTES)
  #group: ProcessGroup | undefined
  #isClosed = false

  constructor(server: StdioServer, place: ProcessPlace) {
    this.#server = server
    this.#place = place
  }

  /** What it has written to stderr. For the log alone: it may hold what the operator gave the server. */
  get said(): string {
    return this.#said.text()
  }

  async start(): Promise<void> {
    const { workspace, sandbox, supervisor } = this.#place
    const { command, args, env } = this.#server
    const temporary = join(workspace, TMP_DIRECTORY)
    await mkdir(temporary, { recursive: true, mode: 0o700 })
    const watch = await supervisor?.watch()
    if (this.#isClosed) throw new Error('closed while it was being started')
    const [program = command, ...words] = [...sandbox, command, ...args]
    const group = new ProcessGroup({
      command: [program, ...words],
      cwd: workspace,
      // What it caches at home does not travel with the session's files.
      env: { ...commandEnvironment(workspace), HOME: temporary, ...env },
      watch,
      takesInput: true,
      onStdout: (chunk) => this.#take(chunk),
      onStderr: (chunk) => this.#said.add(chunk),
    })
    this.#group = group
    group.ended().then(
      ({ code }) => this.#ended(new Error(`its process ended with exit code ${code}`)),
      (error: Error) => this.#ended(error),
    )
  }

  async send(message: JSONRPCMessage): Promise<void> {
    if (!this.#group || this.#isClosed) throw new Error('its process has ended')
    this.#group.write(serializeMessage(message))
  }

  /** Resolves when nothing of the process is left. */
  async close(): Promise<void> {
    this.#close()
    await this.#group?.end()
  }

  #take(chunk: Buffer): void {
    try {
      this.#incoming.append(chunk)
    } catch (error) {
      this.#ended(error as Error)
      void this.#group?.end()
    }
    while (this.#takeNext());
  }

  /** A line that is no message is passed over: some servers print a greeting. */
  #takeNext(): boolean {
    try {
      const message = this.#incoming.readMessage()
      if (message !== null) this.onmessage?.(message)
      return message !== null
    } catch (error) {
      this.onerror?.(error as Error)
      return true
    }
  }

  #ended(reason: Error): void {
    if (this.#isClosed) return
    this.onerror?.(reason)
    this.#close()
  }

  #close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.onclose?.()
  }
}
