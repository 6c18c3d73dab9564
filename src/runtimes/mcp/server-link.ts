/**
 * What one session has of one MCP server: a connection while there is one, and the tools that the server named. A server
 * that cannot be reached costs its calls, never the task.
 */
import type { ToolRequest } from '../../models/model.js'
import type { PluginRun, PluginUse } from '../../telemetry/metrics.js'
import type { ToolOutcome, Turn } from '../runtime.js'
import { type Tool, type ToolContext, ToolFailure } from '../tools/tool.js'
import type { McpConnection } from './connection.js'
import { descriptionOf, effectOf, isMalformed, outcomeOf, parametersOf, prefixOf, toolName } from './remote-tool.js'
import type { McpServer } from './servers.js'
import type { ProcessPlace } from './stdio-transport.js'

/** Of all schemas of one server: they go along with every call of the model. */
const MAX_SCHEMAS_CHARS = 200_000
const MS_PER_SECOND = 1_000
/** Words for what went wrong with a server. */
const [UNREACHABLE, REFUSED] = ['unreachable', 'tool_error']

export interface LinkParts extends ProcessPlace {
  readonly sessionId: string
  readonly log: { warn(fields: object, text: string): void }
  readonly onRan?: ((run: PluginRun) => void) | undefined
}

export class ServerLink {
  readonly server: McpServer
  readonly #parts: LinkParts
  #connection: McpConnection | undefined
  #connecting: Promise<McpConnection> | undefined
  #tools: readonly Tool[]
  /** Of the turn that runs. */
  #beforeEffect: () => void = () => undefined
  #isClosed = false

  constructor(server: McpServer, parts: LinkParts) {
    this.server = server
    this.#parts = parts
    this.#tools = [this.#connectTool('it was not connected yet')]
  }

  get isOpen(): boolean {
    return this.#connection?.isOpen === true
  }

  /** What the model is offered now. */
  get tools(): readonly Tool[] {
    return this.#tools
  }

  /** Connects for a turn. A server that cannot be reached is no failure: the model is offered a tool that tries again. */
  async attach(turn: Pick<Turn, 'beforeEffect' | 'signal'>): Promise<void> {
    this.#beforeEffect = () => turn.beforeEffect()
    turn.beforeEffect()
    try {
      await this.#connected(turn.signal)
    } catch (error) {
      turn.signal.throwIfAborted()
      if (!(error instanceof ToolFailure)) throw error
    }
  }

  /** Ends the server's process, or the connection to it; may be called twice. */
  async close(): Promise<void> {
    this.#isClosed = true
    await this.#connecting?.catch(() => undefined)
    await this.#connection?.close()
  }

  /** The open connection, or a new one. @throws ToolFailure */
  async #connected(signal: AbortSignal): Promise<McpConnection> {
    if (this.#isClosed) throw new ToolFailure('the session is at rest')
    if (this.#connection?.isOpen) return this.#connection
    this.#connecting ??= this.#connect(signal).finally(() => {
      this.#connecting = undefined
    })
    return await this.#connecting
  }

  async #connect(signal: AbortSignal): Promise<McpConnection> {
    const { sessionId, log } = this.#parts
    const fields = { sessionId, server: this.server.name }
    // Loaded with the first server that somebody uses: it brings half a MB of schemas along.
    const { McpConnection, Unreachable } = await import('./connection.js')
    // What is left of a connection that broke goes first: there is one server of a name in a session.
    await this.#connection?.close()
    this.#beforeEffect()
    const startedAt = performance.now()
    try {
      this.#connection = await McpConnection.open(this.server, this.#parts, signal)
      this.#told('load', startedAt)
    } catch (error) {
      signal.throwIfAborted()
      if (!(error instanceof Unreachable)) throw error
      this.#told('load', startedAt, UNREACHABLE)
      log.warn({ ...fields, reason: error.message, said: error.said }, 'an MCP server cannot be reached')
      if (this.#connection === undefined) this.#tools = [this.#connectTool(error.message)]
      throw error
    }
    this.#tools = this.#toolsOf(this.#connection)
    return this.#connection
  }

  #toolsOf(connection: McpConnection): readonly Tool[] {
    const { sessionId, log } = this.#parts
    const { server } = this
    const offered = new Map<string, Tool>()
    const leftOut: string[] = []
    let size = 0
    for (const tool of connection.tools) {
      if (server.tools && !server.tools.includes(tool.name)) continue
      const parameters = parametersOf(tool)
      size += parameters ? JSON.stringify(parameters).length : 0
      const spec = { name: toolName(server.name, tool.name), description: descriptionOf(server, tool) }
      if (!parameters || size > MAX_SCHEMAS_CHARS) leftOut.push(tool.name)
      // Vendors refuse two tools of one name: the first one has it.
      else if (!offered.has(spec.name)) offered.set(spec.name, { ...this.#remote(tool), spec: { ...spec, parameters } })
    }
    if (leftOut.length > 0)
      log.warn({ sessionId, server: server.name, leftOut }, 'tools with schemas that are too large are not offered')
    return [...offered.values()]
  }

  #remote(tool: Parameters<typeof effectOf>[1]): Omit<Tool, 'spec'> {
    const effect = effectOf(this.server, tool)
    return {
      metricName: this.#metricName,
      // What is no object is refused before it is sent.
      effectOf: (input) => (isMalformed(input) ? 'read' : effect),
      run: (input, context) => this.#run(tool.name, input, context, effect === 'once' || effect === 'ask'),
    }
  }

  /** Names that a client chose are counted as one. */
  get #metricName(): string {
    return this.#isDeclared ? `mcp__${this.server.name}` : 'mcp'
  }

  get #pluginName(): string {
    return this.#isDeclared ? this.server.name : 'mcp'
  }

  get #isDeclared(): boolean {
    return this.server.kind === 'stdio' || this.server.isDeclared
  }

  async #run(name: string, input: ToolRequest['input'], context: ToolContext, isOnce: boolean): Promise<ToolOutcome> {
    if (isMalformed(input)) return failed(`The arguments of ${name} were not a JSON object; send one`)
    const startedAt = performance.now()
    const connection = await this.#reached(context.signal)
    if ('status' in connection) {
      this.#told('call', startedAt, UNREACHABLE)
      return connection
    }
    try {
      const outcome = outcomeOf(await this.#call(connection, name, input, context))
      this.#told('call', startedAt, outcome.status === 'failed' ? REFUSED : undefined)
      return outcome
    } catch (error) {
      if (!(error instanceof ToolFailure)) throw error
      const { Late } = await import('./connection.js')
      this.#told('call', startedAt, error instanceof Late ? 'timeout' : 'no_answer')
      const unknown = ' Its outcome is unknown: check what happened before you try again.'
      return failed(`The call failed: ${error.message}.${isOnce ? unknown : ''}`)
    }
  }

  #told(use: PluginUse, startedAt: number, error?: string): void {
    const seconds = (performance.now() - startedAt) / MS_PER_SECOND
    this.#parts.onRan?.({ name: this.#pluginName, use, seconds, error })
  }

  async #reached(signal: AbortSignal): Promise<McpConnection | ToolOutcome> {
    try {
      return await this.#connected(signal)
    } catch (error) {
      if (!(error instanceof ToolFailure)) throw error
      return failed(`The server ${this.server.name} cannot be reached, so the call was not made: ${error.message}`)
    }
  }

  /** A server that forgot the connection, as after its restart, has not taken the call: it is made over a new one. */
  async #call(connection: McpConnection, name: string, input: ToolRequest['input'], context: ToolContext) {
    const { Unsent } = await import('./connection.js')
    this.#beforeEffect()
    try {
      return await connection.call(name, input, context)
    } catch (error) {
      if (!(error instanceof Unsent)) throw error
      const next = await this.#connected(context.signal)
      this.#beforeEffect()
      return await next.call(name, input, context)
    }
  }

  /** Stands for the tools of a server that has not named any yet, also for those that the model remembers. */
  #connectTool(reason: string): Tool {
    const description = `Connects to ${this.server.name}, whose tools are missing: ${reason}. They are offered afterwards.`
    return {
      spec: {
        name: `${prefixOf(this.server.name)}connect`,
        description,
        parameters: { type: 'object', properties: {} },
      },
      prefix: prefixOf(this.server.name),
      metricName: this.#metricName,
      // It may stand for any of them.
      effectOf: () => 'once',
      run: async (_input, { signal }) => {
        const connection = await this.#reached(signal)
        if ('status' in connection) return connection
        const tools = this.#tools.map(({ spec }) => spec.name)
        return {
          status: 'completed',
          result: { connected: true, tools, note: 'Nothing else was done; call them now.' },
        }
      },
    }
  }
}

const failed = (error: string): ToolOutcome => ({ status: 'failed', error })
