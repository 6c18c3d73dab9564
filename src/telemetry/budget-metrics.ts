/**
 * What a worker counts of its sessions' budgets.
 */
import { Counter, Gauge, type Registry } from 'prom-client'
import { LabelLimit, MAX_ORCHESTRATORS } from './label-limit.js'

interface Budget {
  readonly scope: string
  readonly id: string
  readonly period: string
}

export interface BudgetMetrics {
  /** How much of a limit is used, as last heard. */
  utilization(budget: Budget, percent: number): void
  refused(budget: Pick<Budget, 'scope' | 'period'>): void
  alerted(scope: string, threshold: number): void
  /** A call is in the ledger alone. */
  unsettled(): void
  /** Calls are in the count alone. */
  unwritten(calls: number): void
  webhook(outcome: string): void
}

export function budgetMetrics(registry: Registry): BudgetMetrics {
  const registers = [registry]
  const orchestrators = new LabelLimit(MAX_ORCHESTRATORS)
  const counter = (name: string, help: string, labelNames: string[] = []) =>
    new Counter({ name, help, labelNames, registers })
  const utilization = new Gauge({
    name: 'orchestrator_budget_utilization_percent',
    help: 'Share of a budget that is used, as this worker last heard',
    labelNames: ['orchestrator_id', 'period'],
    registers,
  })
  const refusals = counter('orchestrator_budget_refusals_total', 'Model calls and tasks refused', ['scope', 'period'])
  const alerts = counter('orchestrator_budget_alerts_total', 'Budgets that came to a threshold', ['scope', 'threshold'])
  const unsettled = counter('orchestrator_budget_unsettled_total', 'Model calls that the store did not count')
  const unwritten = counter('orchestrator_budget_unwritten_total', 'Model calls that the ledger lacks')
  const webhooks = counter('orchestrator_budget_webhooks_total', 'Alerts to the webhook', ['outcome'])
  return {
    utilization: ({ scope, id, period }, percent) => {
      if (scope === 'orchestrator') utilization.set({ orchestrator_id: orchestrators.of(id), period }, percent)
    },
    refused: ({ scope, period }) => refusals.inc({ scope, period }),
    alerted: (scope, threshold) => alerts.inc({ scope, threshold: String(threshold) }),
    unsettled: () => unsettled.inc(),
    unwritten: (calls) => unwritten.inc(calls),
    webhook: (outcome) => webhooks.inc({ outcome }),
  }
}
