/**
 * A program that runs an edge inside itself, registers an orchestrator and delegates one task to it. It tells of each
 * step on its standard output, and is there to be killed at any of them.
 */
import { FederationCoordinator, OrchestratorDaemon, silentLog } from '../../../src/index.js'

export interface Order {
  /** Id of the delegation. */
  readonly id: string
  readonly orchestrator: string
  readonly task: string
  /** Settings of the node. */
  readonly settings: Readonly<Record<Uppercase<string>, string>>
}

const { id, orchestrator, task, settings } = JSON.parse(process.argv[2] ?? '{}') as Order
const say = (text: string): void => void process.stdout.write(`${text}\n`)

const daemon = new OrchestratorDaemon({ ...settings, port: 0 }, { log: silentLog })
await daemon.start()
const federation = new FederationCoordinator(daemon)
await federation.registerOrchestrator({ id: orchestrator, capabilities: [orchestrator] })
federation.on('task:delegated', () => say('delegated'))
const ended = federation.delegateTask({ id, task, to: orchestrator })
const known = setInterval(async () => {
  if ((await daemon.federation.find('local', id)) === undefined) return
  clearInterval(known)
  say('written')
}, 1)
say(JSON.stringify(await ended))
