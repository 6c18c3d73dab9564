/**
 * The history checker: compares what clients, the fake model provider and the fake tools wrote down with what the stores
 * hold in the end, and says of each guarantee whether it held. It reads each journal once, the logs first, and holds some
 * hundred bytes for each event and command.
 */
import type { History, Lines } from '../journal.js'
import { ClientWalk } from './client-walk.js'
import { Clients } from './clients.js'
import { checkCommands, losses } from './command-rules.js'
import { CommandTable } from './command-table.js'
import { Effects } from './effect-rules.js'
import { type Figures, figuresOf } from './figures.js'
import { Findings, type GuaranteeVerdict } from './findings.js'
import { ModelCalls } from './model-rules.js'
import { acceptanceMayBeLost, checkBusy, checkRealTimeOrder, type OrderContext } from './order-rules.js'
import { SessionLogs } from './session-logs.js'
import { noSteps, TurnWalk } from './turn-rules.js'
import { Zombies } from './zombie-rules.js'

export interface Verdict {
  readonly ok: boolean
  readonly seed: number
  readonly guarantees: readonly GuaranteeVerdict[]
  readonly figures: Figures
}

export async function checkHistory(history: History): Promise<Verdict> {
  const { run, faults } = history
  const { began } = run
  const findings = new Findings()
  const commands = new CommandTable()
  const logs = new SessionLogs(commands, findings)
  const facts = noSteps()
  const losesWrites = faults.some((fault) => fault.losesWrites === true)
  const order: OrderContext = { findings, uncertain: acceptanceMayBeLost(faults), began }

  await logs.read(history.log)
  for (const session of logs.all()) new TurnWalk(session, facts, findings).run()

  const clients = new Clients(
    commands,
    order,
    (client) => new ClientWalk(client, { logs, findings, losesWrites, began }),
  )
  for (const lines of history.clients) await clients.read(lines)

  const zombies = new Zombies(faults, logs, findings, began)
  const models = new ModelCalls()
  const effects = new Effects({ findings, facts, losesWrites, began })
  await each(history.models, (line) => {
    models.take(line)
    zombies.take(line)
  })
  await each(history.effects, (line) => {
    effects.take(line)
    zombies.take(line)
  })

  models.check(facts, faults, findings, began)
  checkCommands(commands, { findings, facts, run, faults })
  checkRealTimeOrder(commands, order)
  checkBusy(commands, order)
  const guarantees = findings.verdicts()
  const isLost = losses({ run, faults, facts })
  const { resumptions, resets } = clients
  return {
    ok: guarantees.every(({ violated }) => violated === 0),
    seed: run.seed,
    guarantees,
    figures: figuresOf({ run, faults, commands, logs, resumptions, resets, isLost }),
  }
}

async function each<L>(journals: readonly Lines<L>[], take: (line: L) => void): Promise<void> {
  for (const lines of journals) for await (const batch of lines) for (const line of batch) take(line)
}
