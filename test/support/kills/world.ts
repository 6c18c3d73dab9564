/**
 * What surrounds a worker that is killed: a model that asks for one tool call and repeats what it was told, and a server on
 * which calls have their effects. Both write down what reaches them, and can hold it until the worker is dead.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'

/** What a task tells the model. */
export interface CallScript {
  readonly subject: string
  readonly tool: string
  readonly input: object
}

export interface Effect {
  readonly subject: string
  /** Of the request, in its header. */
  readonly key: string | undefined
}

type Held = 'in the model call' | 'in the effect' | 'in the answer'

interface ChatMessage {
  readonly role: string
  readonly content?: string | null
  readonly tool_calls?: readonly unknown[]
}

export class World {
  readonly effects: Effect[] = []
  /** Subjects whose model was asked, as often as it was. */
  readonly modelCalls: string[] = []
  /** Subjects that are held, once each. */
  readonly reached = new Set<string>()
  #held: string | undefined
  #model!: Server
  #effects!: Server

  /** Ends with the test. */
  static async start(): Promise<World> {
    const world = new World()
    world.#model = await listen((request, response) => void world.#answer(request, response))
    world.#effects = await listen((request, response) => world.#happen(request, response))
    return world
  }

  get modelUrl(): string {
    return `http://127.0.0.1:${portOf(this.#model)}/v1`
  }

  get effectPort(): number {
    return portOf(this.#effects)
  }

  effectUrl(subject: string): string {
    return `http://127.0.0.1:${this.effectPort}/effect?subject=${subject}`
  }

  /** From now on nothing gets past this position; any other text holds nothing. */
  hold(position: string): void {
    this.#held = position
  }

  release(): void {
    this.#held = undefined
  }

  #isHeld(position: Held, subject: string): boolean {
    if (this.#held !== position) return false
    this.reached.add(subject)
    return true
  }

  #happen({ url, headers }: IncomingMessage, response: ServerResponse): void {
    const subject = new URL(url ?? '/', 'http://localhost').searchParams.get('subject') ?? ''
    const key = headers['idempotency-key']
    this.effects.push({ subject, key: typeof key === 'string' && key !== 'none' ? key : undefined })
    if (!this.#isHeld('in the effect', subject)) response.end('it happened')
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { script, told, shown } = conversationOf(await bodyOf(request))
    const { subject } = script
    this.modelCalls.push(subject)
    const whole = told === undefined ? `I call ${script.tool} now. ` : `I was told: ${told}`
    const rest = whole.startsWith(shown) ? whole.slice(shown.length) : whole
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    const half = Math.ceil(rest.length / 2)
    send(response, { content: rest.slice(0, half) })
    if (this.#isHeld(told === undefined ? 'in the model call' : 'in the answer', subject)) return
    send(response, { content: rest.slice(half) })
    if (told === undefined) send(response, { tool_calls: [toolCall(script)] })
    send(response, {}, told === undefined ? 'tool_calls' : 'stop')
    response.end('data: [DONE]\n\n')
  }
}

const toolCall = ({ subject, tool, input }: CallScript): object => ({
  index: 0,
  id: `call-${subject}`,
  type: 'function',
  function: { name: tool, arguments: JSON.stringify(input) },
})

/** What the model knows: the script in the task, the result of its call, and how much of its answer was shown. */
function conversationOf(body: string) {
  const { messages } = JSON.parse(body) as { messages: readonly ChatMessage[] }
  const task = messages.map(({ content }) => /^Task: (\{.*\})$/m.exec(content ?? '')?.[1]).find((found) => found)
  const script = JSON.parse(task ?? '{}') as CallScript
  const told = messages.findLast(({ role }) => role === 'tool')?.content ?? undefined
  const [before, last] = messages.slice(-2)
  const isContinued = last?.role === 'user' && before?.role === 'assistant' && !before.tool_calls?.length
  return { script, told, shown: isContinued ? (before.content ?? '') : '' }
}

function send(response: ServerResponse, delta: object, finish: string | null = null): void {
  const chunk = { id: 'kills', object: 'chat.completion.chunk', created: 0, model: 'm' }
  response.write(`data: ${JSON.stringify({ ...chunk, choices: [{ index: 0, delta, finish_reason: finish }] })}\n\n`)
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

async function listen(serve: (request: IncomingMessage, response: ServerResponse) => void): Promise<Server> {
  const server = createServer((request, response) => {
    // Whoever asked may be killed at any moment.
    response.on('error', () => undefined)
    serve(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return server
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port
