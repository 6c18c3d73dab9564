/**
 * `orchestrator-daemon cluster drain <node>`: moves everything away from a node, which then ends with exit code 0.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { type AuditEntry, SERVICE_CHAIN } from '../storage/audit-log.js'
import { type ClusterFlags, type ClusterStores, nodeNamed, refuseWithoutLeader, withCluster } from './cluster.js'
import { commandSettings } from './command-settings.js'
import { CommandFailure } from './exit.js'
import { operator } from './operator.js'
import { duration, Output } from './output.js'

const POLL_MS = 250
/** A turn may take as long as DRAIN_TIMEOUT, 15 minutes unless set; nobody waits much longer here. */
const WAIT_MS = 1_200_000

export interface DrainFlags extends ClusterFlags {
  readonly self?: true
  readonly wait: boolean
}

/** @throws CommandFailure also when the node died before it had given everything away, or takes too long. */
export async function clusterDrain(given: string | undefined, flags: DrainFlags): Promise<void> {
  const which = nameOf(given, flags)
  const output = new Output()
  await withCluster(flags, async (stores) => {
    const state = await stores.picture()
    const { id, role } = nodeNamed(state.nodes, which, 'node')
    if (role === 'worker' || role === 'all') refuseWithoutLeader(state)
    const startedAt = performance.now()
    if (!(await stores.nodes.setStatus(id, 'draining'))) throw new CommandFailure(`${id} has ended already`)
    await stores.audit.add(drainNote(id))
    await stores.control.send(id, { type: 'drain' })
    const status = flags.wait ? await untilEnded(id, stores, output) : 'draining'
    const ms = Math.round(performance.now() - startedAt)
    if (flags.json) output.json({ node: id, status, ms })
    else
      output.line(
        flags.wait ? `${id} has ${status === 'dead' ? 'died' : 'left'} after ${duration(ms)}` : `${id} is draining`,
      )
    if (status === 'dead') throw new CommandFailure(`${id} was declared dead before it had given everything away`)
  })
}

const drainNote = (node: string): AuditEntry => ({
  ...{ tenant: SERVICE_CHAIN, actor: operator(), action: 'cluster.drain' },
  ...{ sessionId: undefined, subject: node, detail: {} },
})

function nameOf(given: string | undefined, { self, config }: DrainFlags): string {
  const own = self && commandSettings({ config }).server.name
  if (given !== undefined && own !== undefined) throw new CommandFailure('name a node, or say --self, but not both')
  const name = given ?? own
  if (name === undefined) throw new CommandFailure('which node? name it as `cluster status` does, or say --self')
  return name
}

async function untilEnded(id: string, { nodes, assignments }: ClusterStores, output: Output): Promise<'left' | 'dead'> {
  const deadline = performance.now() + WAIT_MS
  let said = ''
  while (performance.now() < deadline) {
    const status = (await nodes.find(id))?.status
    if (status === 'left' || status === 'dead') return status
    const shards = (await assignments.ownedBy(id)).length
    const progress = shards > 0 ? `${shards} shards to give away` : 'no shards left; turns end'
    if (progress !== said) output.step(progress)
    said = progress
    await sleep(POLL_MS)
  }
  throw new CommandFailure(`${id} has not ended within ${duration(WAIT_MS)}; it goes on draining`)
}
