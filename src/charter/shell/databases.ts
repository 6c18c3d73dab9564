/**
 * Clients of databases: statements that destroy, and ones that reach beyond the data.
 */
import { shown, shownAll } from './field.js'
import { named, type Program, type Programs } from './host.js'
import { operandsOf, valuesOf } from './options.js'
import { touch } from './paths.js'
import { UNKNOWN } from './stream.js'

const DESTROYING_SQL =
  /\b(drop|truncate)\s+(database|schema|table|user|role|owned|index|view|tablespace|collection)?\s*\w|\bdelete\s+from\s+[\w."`]+\s*(;|'|"|$)|\bupdate\s+[\w."`]+\s+set\s+(?![\s\S]*\bwhere\b)|\bflush(all|db)\b|dropdatabase|\.drop\s*\(|deletemany\s*\(\s*\{\s*\}|remove\s*\(\s*\{\s*\}|\balter\s+(user|role)\b|\bgrant\b|\bshutdown\b/i

const ESCAPING_SQL =
  /\\!|\\copy.*program|copy\s+[\s\S]*\bprogram\b|\.(shell|system)\b|\bsystem\s+\S|load_extension|xp_cmdshell|into\s+(outfile|dumpfile)|pg_read_file|lo_import|config\s+set|(?<!-)\beval\b|module\s+load|slaveof|replicaof/i

const database: Program = ({ shell, args, scope, stdin, name }) => {
  const given = stdin.kind === 'text' ? shown(stdin.text) : ''
  const text = `${shownAll(args).join(' ')} ${given}`
  if (/^(drop|delete)/.test(name) || DESTROYING_SQL.test(text))
    shell.report('database.destroy', `removes data for good: ${name} ${text.slice(0, 80)}`)
  if (ESCAPING_SQL.test(text)) shell.unresolved(`lets ${name} reach beyond its data: ${text.slice(0, 80)}`)
  if (stdin.kind === 'download') shell.report('download.execute', `lets ${name} run what comes from the network`)
  for (const file of valuesOf(args, ['-f', '--file', '-o', '--output'])) touch(shell, 'write', file, scope)
  if (name.startsWith('sqlite'))
    for (const file of operandsOf(args, ['-cmd', '-init', '-separator']).slice(0, 1)) touch(shell, 'write', file, scope)
  const hasHole = [...args, ...(stdin.kind === 'text' ? [stdin.text] : [])].some((field) =>
    field.some((piece) => typeof piece !== 'string' && piece.hole === 'any'),
  )
  if (hasHole && /-c|-e|--command|--execute|--eval/.test(text))
    shell.unresolved(`gives ${name} a statement that is only known then`)
  shell.report('database.operate', `works with a database: ${name}`)
  return UNKNOWN
}

export const DATABASES: Programs = {
  ...named(
    database,
    'psql mysql mariadb sqlite3 sqlite mongo mongosh redis-cli cqlsh clickhouse-client sqlcmd dropdb',
    'dropuser mysqladmin pg_restore pg_dump mysqldump influx',
  ),
}
