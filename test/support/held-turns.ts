/**
 * Turns that stream until they are told to end.
 */
import type { Runtime, Turn } from '../../src/runtimes/runtime.js'

export class HeldTurns implements Runtime {
  readonly #waiting = new Map<string, { readonly turn: Turn; readonly end: () => void }>()
  /** Ids of the tasks that have begun, as often as they have. */
  readonly running: string[] = []

  async run(turn: Turn): Promise<{ output: string }> {
    const { id } = turn.task
    if (!turn.progress.openMessage) await turn.journal.messageStarted('none')
    this.running.push(id)
    turn.journal.text('begun ')
    await new Promise<void>((resolve, reject) => {
      this.#waiting.set(id, { turn, end: resolve })
      turn.signal.addEventListener('abort', () => reject(turn.signal.reason))
    })
    turn.journal.text('ended')
    const usage = { promptTokens: 1, completionTokens: 1 }
    await turn.journal.messageEnded({ toolCalls: [], finishReason: 'stop', usage, cost: 0 })
    return { output: 'done' }
  }

  /** Streams some more text. */
  say(taskId: string, text: string): void {
    this.#waiting.get(taskId)?.turn.journal.text(text)
  }

  end(taskId: string): void {
    this.#waiting.get(taskId)?.end()
  }
}
