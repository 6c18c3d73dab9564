/**
 * HAProxy in front of the edges, as in the compose cluster, as a process of its own.
 */
import { existsSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { onFreePort, ServerProcess } from '../../src/chaos/servers/server-process.js'
import { temporaryFolder } from '../../src/chaos/servers/watchdog.js'
import type { Teardown } from '../../src/chaos/teardown.js'
import { type BalancedEdge, balancerConfig, balancerTemplate } from './balancer-config.js'

/** Where Debian puts it, which is not in everybody's PATH. */
const SYSTEM_FOLDERS = ['/usr/sbin', '/usr/local/sbin']

export const NO_BALANCER =
  'HAProxy was not found (HAPROXY, PATH), so clients went to the edges in turn, without a balancer.'

export interface Balancer {
  readonly port: number
  readonly pid: number
}

/** HAPROXY in the environment, then the PATH; undefined when it is nowhere. */
export function findHaproxy(): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), ...SYSTEM_FOLDERS]
  const candidates = [process.env.HAPROXY ?? '', ...folders.map((folder) => join(folder, 'haproxy'))]
  return candidates.find((path) => path !== '' && existsSync(path))
}

/** Resolves when an edge is behind it. Undefined where there is no HAProxy. @throws Error with the end of its log */
export async function startBalancer(teardown: Teardown, edges: readonly BalancedEdge[]): Promise<Balancer | undefined> {
  const file = findHaproxy()
  if (file === undefined) return undefined
  const folder = temporaryFolder()
  teardown.add('the files of the balancer', () => folder.remove())
  return onFreePort(async (port) => {
    const config = join(folder.path, 'haproxy.cfg')
    writeFileSync(config, balancerConfig(balancerTemplate(), port, edges))
    const server = new ServerProcess({
      ...{ file, args: ['-db', '-f', config], folder: folder.path, logFile: join(folder.path, 'haproxy.log') },
      endSignal: 'KILL',
      probe: () => hasEdge(port),
    })
    teardown.add('the balancer', () => server.stop())
    await server.start()
    return { port, pid: server.pid ?? 0 }
  })
}

/** Its own word for "an edge is ready"; throws while it has none, or does not listen. */
async function hasEdge(port: number): Promise<void> {
  const { status } = await fetch(`http://127.0.0.1:${port}/balancer`)
  if (status !== 200) throw new Error(`the balancer has no edge: ${status}`)
}
