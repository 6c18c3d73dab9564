/**
 * Loaded before a process whose heap is to be known (heap.ts): at a signal it collects all garbage and says what is left.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { isMainThread } from 'node:worker_threads'

if (isMainThread) {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc')
  process.on('SIGUSR2', () => {
    // What the first collection sets free through finalizers and weak maps, the second one takes.
    collect()
    collect()
    process.stdout.write(`${JSON.stringify({ heapUsed: process.memoryUsage().heapUsed })}\n`)
  })
}
