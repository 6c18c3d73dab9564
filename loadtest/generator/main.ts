/**
 * The generator's process: takes a plan from its starter, works, reports, and ends with it. Given a plan as its argument
 * it prints the report instead: `node --import tsx loadtest/generator/main.ts '{"targets":[…],…}'`.
 */
import type { Plan, Progress } from './plan.js'
import { runLoad } from './run.js'

async function carryOut(plan: Plan, tell: (progress: Progress) => void): Promise<void> {
  try {
    tell({ phase: 'done', report: await runLoad(plan, tell) })
  } catch (error) {
    tell({ phase: 'failed', reason: error instanceof Error ? error.message : String(error) })
  }
}

const [argument] = process.argv.slice(2)
if (argument !== undefined) {
  await carryOut(JSON.parse(argument) as Plan, (progress) => process.stdout.write(`${JSON.stringify(progress)}\n`))
} else {
  process.once('disconnect', () => process.exit(1))
  process.once('message', (plan) => {
    void carryOut(plan as Plan, (progress) => process.send?.(progress))
  })
}
