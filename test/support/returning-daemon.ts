/**
 * One process without Redis and Postgres that ends in the middle of its work, and comes back at the same port with the same
 * files.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { ScriptedModel } from '../../scripts/demo/scripted-model.js'
import { ClusterProcess } from './cluster-process.js'
import { freePort } from './free-port.js'

export interface ReturningDaemon {
  readonly url: string
  /** Starts it, for the first time or once more. Resolves when clients may come. */
  start(): Promise<ClusterProcess>
}

/** Stopped and removed when the test is over. */
export async function returningDaemon(
  model: ScriptedModel,
  settings: Readonly<Record<string, string>> = {},
): Promise<ReturningDaemon> {
  const cwd = await mkdtemp(join(tmpdir(), 'returning-'))
  const port = await freePort()
  const env = { METRICS_PORT: '0', OPENAI_API_KEY: 'any', OPENAI_BASE_URL: model.openaiUrl, ...settings }
  const started: ClusterProcess[] = []
  onTestFinished(async () => {
    for (const daemon of started) await daemon.stop()
    await rm(cwd, { recursive: true, force: true })
  })
  const start = async (): Promise<ClusterProcess> => {
    const daemon = new ClusterProcess({ args: ['start', '--port', String(port)], cwd, env })
    started.push(daemon)
    await daemon.waitForLine(/"msg":"ready"/)
    return daemon
  }
  return { url: `ws://127.0.0.1:${port}`, start }
}
