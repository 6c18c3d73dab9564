/**
 * How many tokens a prompt has, before the vendor has counted them.
 */
import type { ModelMessage, ToolSpec } from '../models/model.js'

/**
 * English has some four bytes to a token, code a little more than three, Chinese three: what is reserved by this is given
 * back when the vendor has counted, while a tokenizer would hold up the process for a long conversation.
 */
const BYTES_PER_TOKEN = 3
/** Role and frame of a message. */
const MESSAGE_TOKENS = 8

export interface Prompt {
  readonly system: string
  readonly messages: readonly ModelMessage[]
  readonly tools: readonly ToolSpec[]
}

export function promptSize({ system, messages, tools }: Prompt): number {
  let tokens = textSize(system)
  for (const message of messages) {
    tokens += MESSAGE_TOKENS + textSize(message.text)
    if (message.role === 'assistant' && message.toolCalls) tokens += textSize(JSON.stringify(message.toolCalls))
  }
  return tools.length === 0 ? tokens : tokens + textSize(JSON.stringify(tools))
}

export const textSize = (text: string): number => Math.ceil(Buffer.byteLength(text) / BYTES_PER_TOKEN)
