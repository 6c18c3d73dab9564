/**
 * The tools that a session's model may call.
 */
import type { ToolRequest, ToolSpec } from '../../models/model.js'
import type { ToolCall } from '../../telemetry/metrics.js'
import { statusOfTool } from '../../telemetry/tool-status.js'
import type { AgentMemory } from '../agent-memory.js'
import type { EffectClass, ToolOutcome } from '../runtime.js'
import { type BashOptions, bashExecute } from './bash.js'
import { fileDelete, fileList } from './directories.js'
import { fileRead, fileWrite } from './files.js'
import { memoryTools } from './memory.js'
import type { Tool, ToolContext } from './tool.js'
import { type WebOptions, webFetch } from './web-fetch.js'

export interface ToolboxOptions {
  /** What agents remember; without it they have no tools for that. */
  readonly memory?: AgentMemory
  readonly onCall?: (call: ToolCall) => void
  readonly onWaiting?: (change: number) => void
}

const MS_PER_SECOND = 1_000
/** Names that a model made up are counted as one. */
const UNKNOWN_TOOL = 'unknown'

export class Toolbox {
  readonly #tools: ReadonlyMap<string, Tool>
  readonly #attached: () => readonly Tool[]
  readonly #onCall: (call: ToolCall) => void
  readonly #onWaiting: (change: number) => void

  /**
   * `onCall` is told of every call that ended; an aborted one has not. `attached` are tools that come and go; none of them
   * takes the place of one in `tools`. `onWaiting` is told how many more calls wait, or how many fewer.
   */
  constructor(
    tools: readonly Tool[],
    onCall: (call: ToolCall) => void = () => undefined,
    attached: () => readonly Tool[] = () => [],
    onWaiting: (change: number) => void = () => undefined,
  ) {
    this.#tools = new Map(tools.map((tool) => [tool.spec.name, tool]))
    this.#onCall = onCall
    this.#attached = attached
    this.#onWaiting = onWaiting
  }

  /** These tools and some that come and go. */
  with(attached: () => readonly Tool[]): Toolbox {
    return new Toolbox([...this.#tools.values()], this.#onCall, attached, this.#onWaiting)
  }

  /** So many calls wait until they begin, one by one. Returns what tells of each, and what ends the waiting of the rest. */
  queue(calls: number): { readonly begins: () => void; readonly leave: () => void } {
    let waiting = calls
    const fewer = (by: number): void => {
      waiting -= by
      this.#onWaiting(-by)
    }
    this.#onWaiting(calls)
    return { begins: () => fewer(1), leave: () => fewer(waiting) }
  }

  get specs(): readonly ToolSpec[] {
    return [...this.#tools.values(), ...this.#attached()].map((tool) => tool.spec)
  }

  /** What the call may do to the world; an unknown tool is `once`, because it may have been known to the last owner. */
  effectOf(name: string, input: ToolRequest['input']): EffectClass {
    return this.#find(name)?.effectOf(input) ?? 'once'
  }

  /** What calls of this tool work on together with others. */
  sharedBy(name: string): Tool['shared'] {
    return this.#find(name)?.shared
  }

  /** Runs a call. Whatever is wrong with the call is a failed outcome; throws `AbortError` when aborted. */
  async run(call: ToolRequest, context: ToolContext): Promise<ToolOutcome> {
    const startedAt = performance.now()
    const tool = this.#find(call.name)
    const outcome = tool ? await tool.run(call.input, context) : this.#unknown(call)
    const seconds = (performance.now() - startedAt) / MS_PER_SECOND
    const name = tool ? (tool.metricName ?? call.name) : UNKNOWN_TOOL
    this.#onCall({ name, seconds, status: statusOfTool(outcome) })
    return outcome
  }

  #find(name: string): Tool | undefined {
    const known = this.#tools.get(name)
    if (known) return known
    const attached = this.#attached()
    const stands = ({ prefix }: Tool) => prefix !== undefined && name.startsWith(prefix)
    return attached.find(({ spec }) => spec.name === name) ?? attached.find(stands)
  }

  #unknown(call: ToolRequest): ToolOutcome {
    const known = this.specs.map(({ name }) => name).join(', ')
    return { status: 'failed', error: `There is no tool ${call.name}; there are: ${known}` }
  }
}

/** The product's own tools. */
export function standardTools(options: BashOptions & WebOptions & ToolboxOptions = {}): Toolbox {
  const tools = [fileRead, fileWrite, fileList, fileDelete, bashExecute(options), webFetch(options)]
  const remembering = options.memory ? memoryTools(options.memory) : []
  return new Toolbox([...tools, ...remembering], options.onCall, undefined, options.onWaiting)
}
