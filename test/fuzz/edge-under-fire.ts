/**
 * The process with the edge, seen from the one that throws: its port, its memory, and what it complained about.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { SignJWT } from 'jose'

export type ToEdge = { readonly type: 'memory' | 'stop' }
export interface EdgeMemory {
  readonly heapUsed: number
  /** Outside of the heap: buffers. */
  readonly external: number
  readonly rss: number
  readonly connections: number
  readonly metricsChars: number
}
export type FromEdge =
  | { readonly type: 'ready'; readonly port: number }
  | { readonly type: 'error'; readonly text: string }
  | ({ readonly type: 'memory' } & EdgeMemory)

const PROGRAM = fileURLToPath(new URL('edge-process.ts', import.meta.url))
const SECRET = 'a-secret-of-at-least-thirty-two-characters'
const PATIENCE_MS = 30_000

export class EdgeUnderFire {
  readonly #child: ChildProcess
  readonly port: number
  /** What its log said that is no refusal, and what brought it down. */
  readonly errors: string[] = []

  private constructor(child: ChildProcess, port: number) {
    this.#child = child
    this.port = port
    child.on('message', (message: FromEdge) => {
      if (message.type === 'error') this.errors.push(message.text)
    })
  }

  static async start(): Promise<EdgeUnderFire> {
    const child = fork(PROGRAM, [SECRET], { execArgv: ['--expose-gc', '--import', 'tsx'], stdio: 'inherit' })
    const ready = await answer(child, 'ready')
    return new EdgeUnderFire(child, ready.port)
  }

  get isAlive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null
  }

  /** After garbage collection. */
  async memory(): Promise<EdgeMemory> {
    const next = answer(this.#child, 'memory')
    this.#child.send({ type: 'memory' } satisfies ToEdge)
    return await next
  }

  async stop(): Promise<void> {
    if (!this.isAlive) return
    const exit = once(this.#child, 'exit')
    this.#child.send({ type: 'stop' } satisfies ToEdge)
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), PATIENCE_MS)
    await exit
    clearTimeout(timer)
  }

  token(): Promise<string> {
    const now = Math.floor(Date.now() / 1000)
    const claims = { sub: 'fuzz', iss: 'fuzz', aud: 'fuzz', iat: now, exp: now + 86_400, claims: { role: 'admin' } }
    return new SignJWT(claims).setProtectedHeader({ alg: 'HS256' }).sign(new TextEncoder().encode(SECRET))
  }
}

function answer<T extends FromEdge['type']>(child: ChildProcess, type: T): Promise<Extract<FromEdge, { type: T }>> {
  return new Promise((resolve, reject) => {
    const heard = (message: FromEdge): void => {
      if (message.type !== type) return
      over()
      resolve(message as Extract<FromEdge, { type: T }>)
    }
    const gone = (): void => {
      over()
      reject(new Error('the edge is gone'))
    }
    const timer = setTimeout(gone, PATIENCE_MS)
    const over = (): void => {
      clearTimeout(timer)
      child.off('message', heard)
      child.off('exit', gone)
    }
    child.on('message', heard)
    child.on('exit', gone)
  })
}
