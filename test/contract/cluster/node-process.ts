/**
 * Starts `node-program` for a test, and ends it with the test.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { onTestFinished } from 'vitest'
import type { NodeProgram } from './node-program.js'
import type { Plane } from './plane.js'

const PROGRAM = fileURLToPath(new URL('./node-program.ts', import.meta.url))
const CODE = {
  src: new URL('../../../src/', import.meta.url).href,
  dist: new URL('../../../dist/', import.meta.url).href,
}

interface Orders {
  readonly kind: NodeProgram['kind']
  readonly id: string
  readonly code?: keyof typeof CODE
  readonly shardCount?: number
  readonly command?: NodeProgram['command']
}

/** Resolves when the program is ready; rejects with its output when it ends before. */
export async function startNode(
  plane: Plane,
  { kind, id, code = 'src', shardCount = 1, command }: Orders,
): Promise<ChildProcess> {
  if (code === 'dist' && process.env.TEST_BUILD_ERROR) throw new Error(process.env.TEST_BUILD_ERROR)
  const { cluster, redisConfig: redis, databaseUrl } = plane
  const program: NodeProgram = { kind, id, code: CODE[code], cluster, redis, databaseUrl, shardCount, command }
  const child = spawn(process.execPath, ['--import', 'tsx', PROGRAM, JSON.stringify(program)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const output: string[] = []
  await new Promise<void>((resolve, reject) => {
    child.once('exit', () => reject(new Error(`the node ended:\n${output.join('\n')}`)))
    createInterface({ input: child.stdout }).on('line', (line) => {
      output.push(line)
      if (line === 'ready') resolve()
    })
  })
  return child
}
