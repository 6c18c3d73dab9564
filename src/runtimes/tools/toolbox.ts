/**
 * The tools that a session's model may call.
 */
import type { ToolRequest, ToolSpec } from '../../models/model.js'
import type { EffectClass, ToolOutcome } from '../runtime.js'
import { type BashOptions, bashExecute } from './bash.js'
import { fileDelete, fileList } from './directories.js'
import { fileRead, fileWrite } from './files.js'
import type { Tool, ToolContext } from './tool.js'
import { type WebOptions, webFetch } from './web-fetch.js'

export class Toolbox {
  readonly #tools: ReadonlyMap<string, Tool>

  constructor(tools: readonly Tool[]) {
    this.#tools = new Map(tools.map((tool) => [tool.spec.name, tool]))
  }

  get specs(): readonly ToolSpec[] {
    return [...this.#tools.values()].map((tool) => tool.spec)
  }

  /** What the call may do to the world; an unknown tool is `once`, because it may have been known to the last owner. */
  effectOf(name: string, input: ToolRequest['input']): EffectClass {
    return this.#tools.get(name)?.effectOf(input) ?? 'once'
  }

  /** Runs a call. Whatever is wrong with the call is a failed outcome; throws `AbortError` when aborted. */
  async run(call: ToolRequest, context: ToolContext): Promise<ToolOutcome> {
    const tool = this.#tools.get(call.name)
    if (tool !== undefined) return tool.run(call.input, context)
    const known = [...this.#tools.keys()].join(', ')
    return { status: 'failed', error: `There is no tool ${call.name}; there are: ${known}` }
  }
}

/** The product's own six tools. */
export function standardTools(options: BashOptions & WebOptions = {}): Toolbox {
  return new Toolbox([fileRead, fileWrite, fileList, fileDelete, bashExecute(options), webFetch(options)])
}
