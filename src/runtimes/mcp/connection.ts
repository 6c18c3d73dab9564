/**
 * One connection of a session to an external MCP server: the tools that it has, and calls of them.
 */
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport, StreamableHTTPError } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import {
  type CallToolResult,
  CallToolResultSchema,
  ErrorCode,
  ListToolsResultSchema,
  McpError,
  type Tool as ServerTool,
} from '@modelcontextprotocol/sdk/types.js'
import { VERSION } from '../../version.js'
import { ToolFailure } from '../tools/tool.js'
import { serverFetch } from './http-fetch.js'
import type { McpServer } from './servers.js'
import { type ProcessPlace, StdioTransport } from './stdio-transport.js'

const MAX_PAGES = 20
/** A server that is told to forget us may take its time; we do not. */
const GOODBYE_MS = 1_000
const MAX_REASON_CHARS = 1_000

export interface CallOptions {
  readonly signal: AbortSignal
  readonly idempotencyKey?: string | undefined
  /** W3C context of the call. */
  readonly traceparent?: string | undefined
}

export class McpConnection {
  readonly #client: Client
  readonly #transport: Transport
  readonly #server: McpServer
  #tools: readonly ServerTool[] = []
  #isOpen = true
  #brokenBy: string | undefined

  private constructor(server: McpServer, place: ProcessPlace) {
    this.#server = server
    // It is offered nothing: no files, no model, no questions to a human.
    this.#client = new Client({ name: 'orchestrator-daemon', version: VERSION }, { capabilities: {} })
    this.#client.onclose = () => {
      this.#isOpen = false
    }
    this.#client.onerror = (error) => {
      this.#brokenBy = error.message
    }
    this.#transport = server.kind === 'stdio' ? new StdioTransport(server, place) : this.#overHttp(server)
  }

  /** Starts the server, or connects to it, and asks for its tools. @throws Unreachable */
  static async open(server: McpServer, place: ProcessPlace, signal: AbortSignal): Promise<McpConnection> {
    const connection = new McpConnection(server, place)
    const deadline = AbortSignal.timeout(server.startTimeoutMs)
    try {
      await connection.#begin(AbortSignal.any([signal, deadline]))
      return connection
    } catch (error) {
      await connection.close()
      signal.throwIfAborted()
      const late = `it was not ready within ${server.startTimeoutMs} ms`
      const reason = deadline.aborted ? late : connection.#reasonOf(error)
      throw new Unreachable(reason, connection.#said, { cause: error })
    }
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  get tools(): readonly ServerTool[] {
    return this.#tools
  }

  get #said(): string {
    return this.#transport instanceof StdioTransport ? this.#transport.said : ''
  }

  /**
   * @throws ToolFailure when there is no answer, `Late` when it does not come in time; `Unsent` when the server does not know this connection any more
   */
  async call(name: string, input: Readonly<Record<string, unknown>>, options: CallOptions): Promise<CallToolResult> {
    const { signal } = options
    const meta = metaOf(options)
    const params = { name, arguments: { ...input }, ...(meta && { _meta: meta }) }
    const timeout = this.#server.callTimeoutMs
    try {
      // A signal of its own: the client never takes its listener off.
      const own = { signal: AbortSignal.any([signal]), timeout }
      return await this.#client.request({ method: 'tools/call', params }, CallToolResultSchema, own)
    } catch (error) {
      signal.throwIfAborted()
      // Whatever state it is in, the next call finds a new one.
      if (error instanceof StreamableHTTPError) await this.close()
      if (error instanceof StreamableHTTPError && error.code === 404)
        throw new Unsent(`the server ${this.#server.name} does not know this connection`)
      const Failure = isLate(error) ? Late : ToolFailure
      throw new Failure(this.#reasonOf(error), { cause: error })
    }
  }

  /** Ends the server's process, or tells the server that we are gone. Resolves when nothing of it is left; never rejects. */
  async close(): Promise<void> {
    const { sessionId } = this.#transport
    if (this.#isOpen && sessionId !== undefined && this.#transport instanceof StreamableHTTPClientTransport) {
      const late = new Promise((resolve) => setTimeout(resolve, GOODBYE_MS).unref())
      await Promise.race([this.#transport.terminateSession().catch(() => undefined), late])
    }
    this.#isOpen = false
    // Twice where the handshake failed: both ways lead to the same end.
    await Promise.allSettled([this.#client.close(), this.#transport.close()])
  }

  #overHttp(server: Extract<McpServer, { kind: 'http' }>): Transport {
    // A call whose answer broke off would otherwise wait for its timeout.
    const fetch = serverFetch(server.isDeclared, (error) => {
      this.#brokenBy = error.message
      void this.close()
    })
    const { headers } = server
    // Its `sessionId` comes and goes, which the interface of the same package does not say.
    return new StreamableHTTPClientTransport(new URL(server.url), { fetch, requestInit: { headers } }) as Transport
  }

  async #begin(signal: AbortSignal): Promise<void> {
    // The signal's deadline decides.
    const timeout = this.#server.startTimeoutMs + GOODBYE_MS
    await this.#client.connect(this.#transport, { signal, timeout })
    const tools: ServerTool[] = []
    let cursor: string | undefined
    for (let page = 0; page < MAX_PAGES; page++) {
      const params = cursor === undefined ? {} : { cursor }
      const answer = await this.#client.request({ method: 'tools/list', params }, ListToolsResultSchema, {
        signal,
        timeout,
      })
      tools.push(...answer.tools)
      cursor = answer.nextCursor
      if (cursor === undefined) break
    }
    this.#tools = tools
  }

  /** A sentence for the model, without what only the operator may know. */
  #reasonOf(error: unknown): string {
    const { name, callTimeoutMs } = this.#server
    if (isLate(error)) return `no answer within ${callTimeoutMs} ms`
    if (error instanceof McpError && Number(error.code) === ErrorCode.ConnectionClosed)
      return `the server ${name} has ended${this.#brokenBy === undefined ? '' : `: ${this.#brokenBy}`}`
    const text = error instanceof Error ? error.message || ('code' in error && String(error.code)) : error
    return String(text || 'unknown').slice(0, MAX_REASON_CHARS)
  }
}

/** What a server is told beside the arguments, as the protocol has it. */
function metaOf({ idempotencyKey, traceparent }: CallOptions): Record<string, string> | undefined {
  if (idempotencyKey === undefined && traceparent === undefined) return undefined
  return { ...(idempotencyKey !== undefined && { idempotencyKey }), ...(traceparent !== undefined && { traceparent }) }
}

const isLate = (error: unknown): boolean => error instanceof McpError && Number(error.code) === ErrorCode.RequestTimeout

/** A call that had no answer in the time that it may take. */
export class Late extends ToolFailure {}

/** A call that the server has not taken: it may be made once more. */
export class Unsent extends ToolFailure {}

export class Unreachable extends ToolFailure {
  constructor(
    reason: string,
    /** What its process has written beside the protocol: for the log alone. */
    readonly said: string,
    options: ErrorOptions,
  ) {
    super(reason, options)
  }
}
