/**
 * One run over all targets: each gets its share of the inputs. Nothing may be found, the edge must live and have nothing to
 * complain about, and what it keeps in memory afterwards is what it kept before.
 */
import { randomOf } from '../support/random.js'
import { CodecTarget } from './codec.js'
import { type EdgeMemory, EdgeUnderFire } from './edge-under-fire.js'
import type { Finding, Target } from './finding.js'
import { HttpTarget } from './http.js'
import { SocketIoTarget } from './socket-io.js'
import { WebSocketTarget } from './web-socket.js'
import { WebSocketBytesTarget } from './web-socket-bytes.js'

export interface FuzzOptions {
  readonly inputs: number
  readonly seed: number
  readonly onProgress?: (target: string, done: number, of: number) => void
}

export interface TargetReport {
  readonly target: string
  readonly inputs: number
  readonly seconds: number
}

export interface FuzzReport {
  readonly seed: number
  readonly targets: readonly TargetReport[]
  readonly findings: readonly (Finding & { readonly target: string })[]
  /** Before, when everything has been loaded and every cache has filled, and after. */
  readonly memory: { readonly before: EdgeMemory; readonly after: EdgeMemory }
}

/** Of all inputs; the codec is cheap, and each door has its own parser in front of it. */
const SHARES = { codec: 0.45, webSocket: 0.2, frames: 0.06, socketIo: 0.09, http: 0.2 } as const
/** Thrown before the first measurement, of each door. */
const WARM_UP = 0.1
/** Code that is compiled late, and counters of metrics that nobody has touched before. */
const MAX_GROWTH_BYTES = 12 * 1024 * 1024
/** Connections that were dropped are noticed by then. */
const SETTLE_MS = 300
const SETTLE_TRIES = 50

export async function fuzz({ inputs, seed, onProgress }: FuzzOptions): Promise<FuzzReport> {
  const edge = await EdgeUnderFire.start()
  try {
    const round = new Round(edge, seed, onProgress)
    await round.throwAll(Math.ceil(inputs * WARM_UP))
    const before = await settled(edge)
    await round.throwAll(inputs - Math.ceil(inputs * WARM_UP))
    const after = await settled(edge)
    const findings = [...round.findings, ...edge.errors.map(complaint), ...leaks(before, after)]
    return { seed, targets: [...round.reports.values()], findings, memory: { before, after } }
  } finally {
    await edge.stop()
  }
}

class Round {
  readonly findings: (Finding & { readonly target: string })[] = []
  readonly reports = new Map<string, TargetReport>()
  readonly #targets: readonly (readonly [Target, number])[]

  constructor(
    edge: EdgeUnderFire,
    seed: number,
    private readonly onProgress: FuzzOptions['onProgress'],
  ) {
    this.#targets = [
      [new CodecTarget(randomOf(seed)), SHARES.codec],
      [new WebSocketTarget(randomOf(seed + 1), edge), SHARES.webSocket],
      [new WebSocketBytesTarget(randomOf(seed + 2), edge), SHARES.frames],
      [new SocketIoTarget(randomOf(seed + 3), edge), SHARES.socketIo],
      [new HttpTarget(randomOf(seed + 4), edge), SHARES.http],
    ]
  }

  async throwAll(inputs: number): Promise<void> {
    for (const [target, share] of this.#targets) await this.#throwAt(target, Math.ceil(inputs * share))
  }

  async #throwAt(target: Target, inputs: number): Promise<void> {
    const { name } = target
    const startedAt = performance.now()
    let done = 0
    const onInput = (count: number): void => {
      done += count
      this.onProgress?.(name, done, inputs)
    }
    try {
      this.findings.push(...(await target.run(inputs, onInput)).map((finding) => ({ ...finding, target: name })))
    } catch (error) {
      this.findings.push({ target: name, what: `the service is gone: ${String(error)}`, input: '' })
    }
    const before = this.reports.get(name) ?? { inputs: 0, seconds: 0 }
    const seconds = before.seconds + (performance.now() - startedAt) / 1_000
    this.reports.set(name, { target: name, inputs: before.inputs + done, seconds })
  }
}

/** Once nobody is connected any more. */
async function settled(edge: EdgeUnderFire): Promise<EdgeMemory> {
  for (let n = 0; n < SETTLE_TRIES; n++) {
    const memory = await edge.memory()
    if (memory.connections === 0) return memory
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS))
  }
  return await edge.memory()
}

const complaint = (text: string) => ({ target: 'edge', what: text.slice(0, 2_000), input: '' })

function leaks(before: EdgeMemory, after: EdgeMemory): (Finding & { readonly target: string })[] {
  const found = (what: string) => ({ target: 'memory', what, input: '' })
  const grown = after.heapUsed + after.external - before.heapUsed - before.external
  return [
    ...(after.connections === 0 ? [] : [found(`${after.connections} connections are left that nobody has`)]),
    ...(grown < MAX_GROWTH_BYTES ? [] : [found(`memory has grown by ${grown} bytes`)]),
    // What strangers send must not become labels.
    ...(after.metricsChars < 2 * before.metricsChars ? [] : [found('the page of metrics has doubled')]),
  ]
}
