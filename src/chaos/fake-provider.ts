/**
 * A model vendor that follows the script in the task (tool-script.ts), behind OpenAI's real streaming protocol. It writes
 * down every call, and can cut its streams and stall when it is told to.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { EffectServer } from './effect-server.js'
import { type ModelLine, now } from './journal.js'
import { listen } from './local-server.js'
import type { RandomInteger } from './seeded-random.js'
import { answerText, callId, type ScriptStep, scriptIn, type ToolScript } from './tool-script.js'

/** A request is a conversation of a few tasks. */
const MAX_BODY_BYTES = 8 * 1024 * 1024
/** Text comes in pieces of so many words, at the pace of a real vendor. */
const PIECE_CHARS = 40
const MIN_PAUSE_MS = 5
const MAX_PAUSE_MS = 30
const STALL_MS = 2_000

export interface ProviderOptions {
  readonly effects: EffectServer
  readonly random: RandomInteger
  readonly append: (line: ModelLine) => void
  /** The node that was started with this token, if it is known. */
  readonly nodeOf: (token: string) => string | undefined
}

interface ChatMessage {
  readonly role: string
  readonly content?: string | null
  readonly tool_calls?: readonly unknown[]
}

interface Call {
  readonly script: ToolScript
  /** Answers of the model that the conversation holds since the task was given. */
  readonly step: number
  /** Text of this answer that was shown already. */
  readonly shown: string
}

export class FakeProvider {
  readonly #server: Server
  readonly #options: ProviderOptions
  /** Told when a poisoned task has reached the model of this node. */
  onPoison: (node: string | undefined) => void = () => {}
  #port = 0
  #cuts = 0
  #stalls = 0

  private constructor(options: ProviderOptions) {
    this.#options = options
    this.#server = createServer((request, response) => {
      // The caller may be killed at any moment: then there is nobody to answer.
      response.on('error', () => {})
      void this.#serve(request, response).catch(() => response.destroy())
    })
  }

  static async start(options: ProviderOptions): Promise<FakeProvider> {
    const provider = new FakeProvider(options)
    provider.#port = await listen(provider.#server)
    return provider
  }

  /** For OPENAI_BASE_URL of the node that is started with this token. */
  url(token: string): string {
    return `http://127.0.0.1:${this.#port}/${token}/v1`
  }

  /** The next answers end in the middle, without a word. */
  cutNext(count: number): void {
    this.#cuts += count
  }

  /** The next answers pause in the middle. */
  stallNext(count: number): void {
    this.#stalls += count
  }

  async stop(): Promise<void> {
    this.#server.close()
    this.#server.closeAllConnections()
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const began = now()
    const node = this.#options.nodeOf((request.url ?? '').split('/')[1] ?? '')
    const call = readCall(await bodyOf(request))
    if (!call) {
      response.writeHead(400).end('this model only follows scripts')
      return
    }
    const { command, poison } = call.script
    if (poison) this.onPoison(node)
    const outcome = await this.#answer(call, response)
    const line = { kind: 'model', command, step: call.step, began, ended: now(), outcome } as const
    this.#options.append(node === undefined ? line : { ...line, node })
  }

  async #answer(call: Call, response: ServerResponse): Promise<ModelLine['outcome']> {
    const next = call.script.steps[call.step]
    const whole = next === undefined ? answerText(call.script) : `Step ${call.step + 1}. `
    const text = whole.startsWith(call.shown) ? whole.slice(call.shown.length) : whole
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    if (!(await this.#stream(text, response))) return response.destroyed ? 'gone' : cut(response)
    if (next !== undefined) send(response, { tool_calls: [this.#toolCall(call, next)] })
    send(response, {}, next === undefined ? 'stop' : 'tool_calls')
    const usage = { prompt_tokens: 10, completion_tokens: text.length, total_tokens: text.length + 10 }
    response.write(`data: ${JSON.stringify({ choices: [], usage })}\n\n`)
    response.end('data: [DONE]\n\n')
    return 'complete'
  }

  /** False when it was cut, or nobody listens any more. */
  async #stream(text: string, response: ServerResponse): Promise<boolean> {
    const { random } = this.#options
    const isCut = this.#take('cut')
    const isStalled = this.#take('stall')
    const middle = text.length / 2
    for (let at = 0; at < text.length; at += PIECE_CHARS) {
      if (response.destroyed) return false
      if (isCut && at >= middle) return false
      if (isStalled && at <= middle && at + PIECE_CHARS > middle) await sleep(STALL_MS)
      send(response, { content: text.slice(at, at + PIECE_CHARS) })
      await sleep(random(MIN_PAUSE_MS, MAX_PAUSE_MS))
    }
    return !isCut && !response.destroyed
  }

  /** Whether this answer is one of those that were asked for. */
  #take(what: 'cut' | 'stall'): boolean {
    if (what === 'cut') return this.#cuts > 0 && this.#cuts-- > 0
    return this.#stalls > 0 && this.#stalls-- > 0
  }

  #toolCall({ script, step }: Call, kind: ScriptStep): object {
    const id = callId(script.command, step)
    const [name, input] = this.#toolInput(script.command, id, kind)
    return { index: 0, id, type: 'function', function: { name, arguments: JSON.stringify(input) } }
  }

  #toolInput(command: string, id: string, kind: ScriptStep): [name: string, input: object] {
    const { effects } = this.#options
    if (kind === 'once') return ['web_fetch', { url: effects.url(command, id, 'once'), method: 'POST' }]
    if (kind === 'read') return ['web_fetch', { url: effects.url(command, id, 'read') }]
    if (kind === 'write') return ['file_write', { path: `${id}.txt`, content: id }]
    const line = `POST ${effects.path(command, id, 'once')} HTTP/1.0\\r\\n\\r\\n`
    return ['bash_execute', { command: `exec 3<>/dev/tcp/127.0.0.1/${effects.port}; printf '${line}' >&3; cat <&3` }]
  }
}

function cut(response: ServerResponse): 'cut' {
  response.destroy()
  return 'cut'
}

function send(response: ServerResponse, delta: object, finish: string | null = null): void {
  const chunk = { id: 'chaos', object: 'chat.completion.chunk', created: 0, model: 'chaos' }
  response.write(`data: ${JSON.stringify({ ...chunk, choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`)
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > MAX_BODY_BYTES) throw new Error('a conversation is larger than any of this load')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

/** The task that was given last, and how far it has come. */
function readCall(body: string): Call | undefined {
  const { messages } = JSON.parse(body) as { messages: readonly ChatMessage[] }
  const given = messages.findLastIndex(({ role, content }) => role === 'user' && scriptIn(content ?? '') !== undefined)
  const script = scriptIn(messages[given]?.content ?? '')
  if (!script) return undefined
  const since = messages.slice(given + 1)
  const last = since.at(-1)
  const continued = last?.role === 'user' ? since.at(-2) : undefined
  const step = since.filter(({ role, tool_calls }) => role === 'assistant' && (tool_calls?.length ?? 0) > 0).length
  return { script, step, shown: continued?.role === 'assistant' ? (continued.content ?? '') : '' }
}
