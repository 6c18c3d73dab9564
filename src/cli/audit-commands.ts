/**
 * The commands about the audit log, with their options.
 */
import type { Command } from 'commander'
import { configOption, jsonOption, wholeNumber } from './options.js'

const MAX_ROWS = 10_000
const DEFAULT_ROWS = 50

export function addAuditCommands(root: Command): void {
  const audit = root.command('audit').description('who did what: reads the audit log in the database of these settings')
  const command = (name: string, what: string): Command =>
    audit.command(name).description(what).addOption(configOption()).addOption(jsonOption())
  command('list', 'the newest entries')
    .option('--tenant <tenant>', 'of this tenant; .service is what belongs to none')
    .option('--action <action>', 'only these, such as tool.denied, or approval for all about approvals')
    .option('--session <id>', 'only about this session')
    .option('--before <row>', 'only older than this row of the tenant', wholeNumber(1, Number.MAX_SAFE_INTEGER))
    .option('--limit <count>', 'how many', wholeNumber(1, MAX_ROWS), DEFAULT_ROWS)
    .action(async (flags) => (await import('./audit.js')).auditList(flags))
  command('verify', 'whether the log is what was written; names the first row of each chain that is not')
    .option('--tenant <tenant>', 'only this chain')
    .option('--anchor <file>', 'what an earlier `audit verify --json` printed: tells a log that was written anew')
    .addHelpText('after', '\nExit code 0 when every chain is whole, 1 when one is not or the database cannot be read.')
    .action(async (flags) => (await import('./audit.js')).auditVerify(flags))
}
