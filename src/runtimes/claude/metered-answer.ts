/**
 * Passes an answer of the vendor on as it comes, and reads from it what the call has used.
 */
import { Transform, type TransformCallback } from 'node:stream'
import type { Usage } from '../../models/model.js'
import { usageOf, type VendorUsage } from './spoken-message.js'

/** A line that is longer holds no usage; neither does an answer of one piece that is. */
const MAX_LINE_CHARS = 4 * 1_048_576
const DATA = 'data: '
/** In lines of a stream that tell of usage or of a tool; others are not parsed. */
const TELLING = /"usage"|"tool_use"/

interface Said {
  readonly usage?: VendorUsage
  readonly message?: { readonly usage?: VendorUsage }
  readonly content_block?: { readonly type?: string; readonly name?: string }
  readonly content?: readonly { readonly type?: string; readonly name?: string }[]
}

export class MeteredAnswer extends Transform {
  readonly tools: string[] = []
  #usage: VendorUsage = {}
  #pieces = 0
  #isWhole = false
  #line = ''

  /** So far. Where the vendor was cut before it said so, each piece of the answer counts as one token. */
  get usage(): Usage {
    const usage = usageOf(this.#usage)
    return this.#isWhole ? usage : { ...usage, completionTokens: this.#pieces }
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#read(chunk.toString('utf8'))
    done(null, chunk)
  }

  override _flush(done: TransformCallback): void {
    this.#take(this.#line)
    done()
  }

  #read(text: string): void {
    const lines = (this.#line + text).split('\n')
    this.#line = lines.pop() ?? ''
    if (this.#line.length > MAX_LINE_CHARS) this.#line = ''
    for (const line of lines) this.#take(line)
  }

  #take(line: string): void {
    if (line.includes('content_block_delta')) this.#pieces += line.startsWith(DATA) ? 1 : 0
    else if (TELLING.test(line)) this.#hear(line.startsWith(DATA) ? line.slice(DATA.length) : line)
  }

  #hear(json: string): void {
    try {
      const said = JSON.parse(json) as Said
      // Later words are about the whole call too, but leave out what has not changed.
      this.#usage = { ...this.#usage, ...told(said.message?.usage), ...told(said.usage) }
      this.#isWhole ||= said.usage !== undefined
      for (const { type, name } of [said.content_block ?? {}, ...(said.content ?? [])]) {
        if (type === 'tool_use' && name !== undefined) this.tools.push(name)
      }
    } catch {
      // Not of the form that we know: it is passed on all the same.
    }
  }
}

const told = (usage: VendorUsage | undefined): VendorUsage =>
  Object.fromEntries(Object.entries(usage ?? {}).filter(([, tokens]) => typeof tokens === 'number'))
