/**
 * The JavaScript heap of a process of the service without its garbage, which memory of the process does not tell.
 */
import type { ServiceProcess } from '../../src/chaos/service-process.js'

const PRELOAD = new URL('./heap-preload.mjs', import.meta.url)
/** Two full collections of a heap of some hundred MB, on a busy machine. */
const ANSWER_TIMEOUT_MS = 30_000

export class HeapReader {
  #answered: (bytes: number) => void = () => {}

  /** Settings of a process that can be asked. */
  readonly env = { NODE_OPTIONS: `--import=${PRELOAD.href}` }

  /** Takes a line of the log of any process; only those that are asked say something of their heap. */
  read(line: string): void {
    if (!line.startsWith('{"heapUsed":')) return
    this.#answered((JSON.parse(line) as { readonly heapUsed: number }).heapUsed)
  }

  /** Bytes in use. One process is asked at a time. @throws Error when it does not answer */
  async bytesOf(process: ServiceProcess): Promise<number> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`${process.name} does not tell its heap`)), ANSWER_TIMEOUT_MS)
    })
    const answer = new Promise<number>((resolve) => {
      this.#answered = resolve
    })
    process.signal('SIGUSR2')
    try {
      return await Promise.race([answer, late])
    } finally {
      clearTimeout(timer)
    }
  }
}
