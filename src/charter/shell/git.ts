/**
 * git: what a subcommand does, and the many ways in which it can be made to run a command.
 */
import { forbidden } from '../actions.js'
import { type Field, headOf, joined, shown, textOf } from './field.js'
import type { Invocation, Program, Programs } from './host.js'
import { hasOption, operandsOf, valuesOf } from './options.js'
import { touch } from './paths.js'
import { NOTHING, ONE_NAME, type Stream, UNKNOWN } from './stream.js'

const GLOBAL_VALUES = [
  '-C',
  '-c',
  '--git-dir',
  '--work-tree',
  '--namespace',
  '--exec-path',
  '--config-env',
  '--super-prefix',
]
/** Settings whose value is run. */
const RUNNING_KEY =
  /^(alias\..*|core\.(sshcommand|pager|editor|fsmonitor|hookspath|gitproxy|askpass)|sequence\.editor|diff\..*(external|command|textconv)|.*\.textconv|merge\..*\.driver|mergetool\..*\.cmd|difftool\..*\.cmd|filter\..*|credential\..*helper|credential\.helper|gpg\.(.*\.)?program|pager\..*|protocol\.ext\.allow|uploadpack\..*|remote\..*\.(uploadpack|receivepack)|browser\..*\.cmd|init\.templatedir|url\..*)$/i
const READS =
  /^(status|diff|log|show|blame|branch|rev-parse|ls-files|ls-tree|ls-remote|describe|shortlog|remote|tag|grep|reflog|cat-file|rev-list|for-each-ref|name-rev|merge-base|config|stash|help|version|count-objects|fsck|whatchanged|range-diff|check-ignore|symbolic-ref|var|worktree|bisect|archive|bundle|notes|show-ref)$/
const MAIN = /^(\+?(HEAD|[\w./-]+):)?\+?(refs\/heads\/)?(main|master|production|prod|release|trunk)$/

const git: Program = (call) => {
  const { args, shell, scope } = call
  const rest = operandsOf(args, GLOBAL_VALUES, true)
  const globals = args.slice(0, args.length - rest.length)
  for (const setting of valuesOf(globals, ['-c', '--config-env'])) checkSetting(call, setting)
  if (valuesOf(globals, ['--exec-path']).length > 0) shell.unresolved('lets git run programs from another place')
  const verb = textOf(rest[0])
  if (rest[0] && verb === undefined) return shell.unresolved('gives git a command that is only known then')
  const directories = valuesOf(globals, ['-C', '--git-dir', '--work-tree'])
  const how = READS.test(verb ?? 'help') ? 'list' : 'write'
  for (const directory of directories.length > 0 ? directories : [['.']]) touch(shell, how, directory, scope)
  return subcommand(call, verb ?? 'help', rest.slice(1))
}

function checkSetting(call: Invocation, setting: Field): void {
  const head = headOf(setting)
  const at = head.indexOf('=')
  const key = at < 0 ? head : head.slice(0, at)
  if (RUNNING_KEY.test(key)) checkRun(call, joined([at < 0 ? '' : head.slice(at + 1)], setting.slice(1)))
}

/** A value that git gives to a shell. */
function checkRun({ shell, scope }: Invocation, value: Field): void {
  const text = textOf(value)
  if (text === undefined) {
    shell.unresolved('gives git a command that is only known then')
    return
  }
  if (/^(true|false|cat|less|vim?|nano|store|cache|osxkeychain|manager.*|)$/.test(text)) return
  shell.report('governance.change', `lets git run: ${text}`)
  shell.runText(text.replace(/^!/, ''), scope.clone(), NOTHING)
}

function subcommand(call: Invocation, verb: string, args: readonly Field[]): Stream {
  const { shell, scope } = call
  if (
    args.some((arg) => /^--(upload-pack|receive-pack|exec)=/.test(headOf(arg))) ||
    args.some((arg) => /^ext::/.test(headOf(arg)))
  ) {
    shell.unresolved('lets git run a program for its connection')
  }
  const special = SUBCOMMANDS[verb]
  if (special) return special(call, args)
  if (READS.test(verb)) {
    shell.report('git.read', `reads the history: git ${verb}`)
    return printed(verb, args)
  }
  const moves =
    /^(add|commit|rm|mv|checkout|switch|restore|merge|rebase|cherry-pick|revert|am|apply|init|pull|fetch|clone)$/.test(
      verb,
    )
  shell.report('git.change', `changes the repository: git ${verb}`)
  for (const each of valuesOf(args, ['-x', '--exec', '--editor', '--extcmd'])) checkRun(call, each)
  if (!moves) checkInside(call, args)
  if (verb === 'clone') cloneInto(call, args)
  if (verb === 'rm' || verb === 'mv') for (const path of operandsOf(args)) touch(shell, 'delete', path, scope)
  if (verb === 'init') for (const path of operandsOf(args, ['-b', '--template'])) touch(shell, 'write', path, scope)
  return UNKNOWN
}

function checkInside({ shell, scope }: Invocation, args: readonly Field[]): void {
  for (const arg of args) {
    const text = textOf(arg)
    if (text === undefined || !/\s/.test(text)) continue
    const inside = forbidden(shell.foundIn((other) => other.runText(text, scope.clone(), NOTHING)))
    if (inside) shell.report(inside.class, inside.what)
  }
}

function cloneInto({ shell, scope }: Invocation, args: readonly Field[]): void {
  const operands = operandsOf(args, [
    '-b',
    '--branch',
    '--depth',
    '-o',
    '--origin',
    '-c',
    '--config',
    '-u',
    '--reference',
    '-j',
    '--jobs',
    '--filter',
  ])
  shell.report('network.request', `clones ${shown(operands[0] ?? [])}`)
  if (operands[1]) touch(shell, 'write', operands[1], scope)
}

const PATHS: Stream = { kind: 'paths', fields: [[{ hole: 'below' }]] }

function printed(verb: string, args: readonly Field[]): Stream {
  if (verb === 'ls-files' || (verb === 'diff' && hasOption(args, '--name-only'))) return PATHS
  const flags = args.map((arg) => shown(arg))
  if (
    verb === 'rev-parse' &&
    !flags.some((flag) => /^--(show-toplevel|git-dir|absolute|show-prefix|show-cdup)/.test(flag))
  )
    return ONE_NAME
  return verb === 'rev-list' && flags.includes('--count') ? ONE_NAME : UNKNOWN
}

const push = ({ shell }: Invocation, args: readonly Field[]): Stream => {
  const [, ...refs] = operandsOf(args, ['-o', '--push-option', '--repo', '--receive-pack', '--exec'])
  const names = refs.map((ref) => shown(ref))
  const forced =
    hasOption(args, '-f', '--force', '--force-with-lease', '--mirror') ||
    names.some((name) => name.startsWith('+')) ||
    args.some((arg) => /^--forc/.test(headOf(arg)))
  const deleted = hasOption(args, '-d', '--delete') || names.some((name) => name.startsWith(':'))
  const toMain = names.some((name) => MAIN.test(name.replace(/^:/, ''))) || hasOption(args, '--mirror', '--all')
  const unclear = names.length === 0 || names.some((name) => /…|\*/.test(name))
  if ((forced || deleted) && toMain) shell.report('git.force_push_main', 'replaces what others have on the main branch')
  else if (forced || deleted)
    shell.report(
      'git.force_push',
      unclear
        ? 'replaces what others have on a branch that is only known then'
        : `replaces what others have on ${names.join(' ')}`,
    )
  else shell.report('git.push', 'pushes to the remote repository')
  return UNKNOWN
}

/** Throws away work that was never committed. */
const discard =
  (verb: string) =>
  ({ shell }: Invocation, args: readonly Field[]): Stream => {
    const dangerous =
      verb === 'clean'
        ? hasOption(args, '-f', '--force') && hasOption(args, '-d')
        : hasOption(args, '--hard', '-f', '--force')
    shell.report(dangerous ? 'git.discard' : 'git.change', `changes what is not committed: git ${verb}`)
    return UNKNOWN
  }

/** Runs a command for every commit, module or step. */
const runs = (call: Invocation, args: readonly Field[]): Stream => {
  const { shell } = call
  shell.report('git.change', 'rewrites or walks through the history')
  const filters = valuesOf(args, [
    '--tree-filter',
    '--index-filter',
    '--msg-filter',
    '--env-filter',
    '--commit-filter',
    '--parent-filter',
    '--setup',
    '--tag-name-filter',
    '-x',
    '--extcmd',
  ])
  for (const filter of filters) checkRun(call, filter)
  const text = args.map((arg) => shown(arg))
  const at = text.findIndex((word) => word === 'foreach' || word === 'run')
  if (at >= 0) {
    const rest = operandsOf(args.slice(at + 1), [], true)
    if (rest.length === 1) checkRun(call, rest[0] ?? [])
    else if (rest.length > 1) shell.invoke(rest, call.scope.clone(), NOTHING)
  }
  return UNKNOWN
}

const config = (call: Invocation, args: readonly Field[]): Stream => {
  const [key, value] = operandsOf(args, ['-f', '--file', '--type', '--blob'])
  const name = textOf(key)
  if (value === undefined) {
    call.shell.report('git.read', 'reads settings of git')
    return UNKNOWN
  }
  call.shell.report(
    hasOption(args, '--system', '--global') ? 'outside.write' : 'git.change',
    `sets ${name ?? 'a setting'} of git`,
  )
  if (name === undefined) call.shell.unresolved('sets a setting of git that is only known then')
  else if (RUNNING_KEY.test(name)) checkRun(call, value)
  return UNKNOWN
}

const SUBCOMMANDS: Readonly<Record<string, (call: Invocation, args: readonly Field[]) => Stream>> = {
  push,
  config,
  reset: discard('reset'),
  clean: discard('clean'),
  'filter-branch': runs,
  submodule: runs,
  bisect: runs,
  rebase: runs,
  difftool: runs,
  mergetool: runs,
}

export const GIT: Programs = { git }
