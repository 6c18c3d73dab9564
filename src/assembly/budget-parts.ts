/**
 * The budgets of a worker's sessions: counted in Redis where there is one, else in this process, with the ledger in the
 * database of either.
 */
import { resolve } from 'node:path'
import { alertOf, thresholdsWith } from '../budget/alerts.js'
import { BudgetDesk } from '../budget/budget-desk.js'
import type { Spender } from '../budget/budgets.js'
import { chatBody } from '../budget/chat-text.js'
import { Ledger } from '../budget/ledger.js'
import { LimitBook, type LimitSettings } from '../budget/limits.js'
import { MemoryMeter } from '../budget/memory-meter.js'
import type { Crossing, Meter } from '../budget/meter.js'
import { type PriceList, priceList } from '../budget/prices.js'
import { RedisMeter } from '../budget/redis-meter.js'
import { TokenBudgets } from '../budget/token-budgets.js'
import { UsageReporter } from '../budget/usage-reporter.js'
import { Webhook, type WebhookOptions } from '../budget/webhook.js'
import type { CharterLimits } from '../charter/limits.js'
import type { ClusterView, ControlChannel } from '../cluster/cluster.js'
import type { Config } from '../config/load.js'
import { type PriceFile, readPriceFile } from '../config/price-file.js'
import type { BudgetAlert } from '../protocol/events.js'
import { connectCommands, disconnect } from '../redis/connect.js'
import { BudgetLedger } from '../storage/budget-ledger.js'
import { BudgetOverrides } from '../storage/budget-overrides.js'
import type { Database } from '../storage/database.js'
import { UsageReports } from '../storage/usage-report.js'
import type { BudgetMetrics } from '../telemetry/metrics.js'
import { type Foundation, redisConfig, usesRedis } from './planes.js'

export interface BudgetParts {
  readonly database: Database
  readonly view: Pick<ClusterView, 'nodes'>
  readonly control: Pick<ControlChannel, 'send'>
  /** As they stand now: an organisation may change them. */
  readonly charter: { readonly limits: CharterLimits }
  readonly metrics: BudgetMetrics
  readonly prices: PriceList
  /** Tells the sessions of this worker. */
  readonly tell: (tenant: string, alert: BudgetAlert) => void
}

/** The price list of this node, which follows the settings and the file that they name. */
export function openPrices({ config, settings }: Pick<Foundation, 'config' | 'settings'>): PriceList {
  const first = pricesIn(config)
  let list = priceList(first)
  settings.watch<ReturnType<typeof pricesIn>>(
    {
      name: 'TOKEN_PRICES_FILE',
      read: pricesIn,
      adopt: (prices) => {
        list = priceList(prices)
      },
    },
    first,
  )
  return { costOf: (model, usage) => list.costOf(model, usage), isPriced: (model) => list.isPriced(model) }
}

/** Undefined: the built-in table. @throws Error that names file, line and field */
const pricesIn = ({ budget }: Config): PriceFile['models'] | undefined =>
  budget.pricesFile === undefined ? undefined : readPriceFile(resolve(budget.pricesFile)).models

export interface OpenBudgets {
  /** For sessions. */
  readonly budgets: TokenBudgets
  /** For people and programs. */
  readonly desk: BudgetDesk
}

export async function openBudgets(foundation: Foundation, parts: BudgetParts): Promise<OpenBudgets> {
  const { config, settings, log, lifecycle } = foundation
  const { metrics, prices, database } = parts
  const meter = await openMeter(foundation)
  const ledger = openLedger(foundation, parts)
  const limits = limitBook(foundation, parts)
  const budgets = new TokenBudgets({
    ...{ meter, ledger, metrics, limits, costOf: prices.costOf },
    get thresholds() {
      return thresholdsWith(settings.view.budget.alertThreshold)
    },
    onCrossing: herald(foundation, parts),
    onError: (err, what) => log.error({ err }, what),
    writesThrough: !usesRedis(config),
  })
  lifecycle.started('budgets', () => budgets.stop())
  const reporter = new UsageReporter(new UsageReports(database))
  return { budgets, desk: new BudgetDesk({ budgets, limits, overrides: new BudgetOverrides(database), reporter }) }
}

async function openMeter({ config, log, lifecycle }: Foundation): Promise<Meter> {
  if (!usesRedis(config)) return new MemoryMeter()
  const onError = (err: Error) => log.warn({ err }, 'Redis connection failed; connecting again')
  const redis = await connectCommands(redisConfig(config), onError)
  lifecycle.started('budgets connection', async () => disconnect(redis))
  return new RedisMeter(redis, config.cluster.name)
}

function openLedger({ log, lifecycle }: Foundation, { database, metrics }: BudgetParts): Ledger {
  const ledger = new Ledger({
    store: new BudgetLedger(database),
    onError: (err, waiting) => log.warn({ err, waiting }, 'the ledger of budgets cannot be reached; asking again'),
    onDropped: (calls) => metrics.unwritten(calls),
  })
  lifecycle.started('ledger of budgets', () => ledger.stop())
  return ledger
}

function limitBook({ settings: { view }, log }: Foundation, { database, charter }: BudgetParts): LimitBook {
  const overrides = new BudgetOverrides(database)
  return new LimitBook({
    get settings() {
      return limitsOf(view)
    },
    charter: { of: () => charter.limits.tokens },
    findOverrides: (tenant) => overrides.findHolding(tenant),
    onError: (err) => log.warn({ err }, 'overrides of budgets cannot be read; those known last hold on'),
  })
}

function limitsOf({ budget }: Config): LimitSettings {
  const { daily, weekly, monthly } = budget
  return {
    session: { session: budget.session },
    orchestrator: { daily, weekly, monthly },
    // An orchestrator is a name that clients choose: without a limit of its own a tenant has that of one.
    tenant: {
      daily: budget.tenantDaily ?? daily,
      weekly: budget.tenantWeekly ?? weekly,
      monthly: budget.tenantMonthly ?? monthly,
    },
  }
}

/** Spreads the word of a threshold: metrics, the sessions of all workers, the webhook, the chat. */
function herald(foundation: Foundation, parts: BudgetParts): (spender: Spender, crossing: Crossing) => void {
  const { settings, node, log } = foundation
  const { metrics, tell, view, control } = parts
  const receivers = openWebhooks(foundation, metrics)
  return ({ tenant }, crossing) => {
    const alert = alertOf(crossing)
    metrics.alerted(alert.scope, alert.threshold)
    log.warn({ tenant, alert }, 'a budget has come to a threshold')
    if (!settings.view.budget.alertsEnabled) return
    for (const receiver of receivers) receiver.send(tenant, alert)
    tell(tenant, alert)
    if (alert.scope === 'session') return
    for (const { id, role } of view.nodes()) {
      if (id === node || (role !== 'worker' && role !== 'all')) continue
      // One that does not hear it has sessions that are not told; the budget holds all the same.
      control.send(id, { type: 'budget', tenant, alert }).catch(() => undefined)
    }
  }
}

function openWebhooks({ config, log, lifecycle }: Foundation, metrics: BudgetMetrics): readonly Webhook[] {
  const { webhookUrl, webhookSecret: secret, chatUrl } = config.budget
  const open = (to: Pick<WebhookOptions, 'url' | 'setting' | 'secret' | 'bodyOf'>): Webhook => {
    const webhook = new Webhook({
      ...to,
      onOutcome: (outcome) => metrics.webhook(outcome),
      onError: (err, alert) => log.error({ err, alert }, 'an alert of a budget was not heard by the webhook'),
    })
    lifecycle.started(`webhook of budgets, ${to.setting}`, () => webhook.stop())
    return webhook
  }
  return [
    ...(webhookUrl === undefined ? [] : [open({ url: webhookUrl, setting: 'TOKEN_BUDGET_WEBHOOK_URL', secret })]),
    ...(chatUrl === undefined
      ? []
      : [open({ url: chatUrl, setting: 'TOKEN_BUDGET_CHAT_URL', secret: undefined, bodyOf: chatBody })]),
  ]
}
