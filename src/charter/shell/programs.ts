/**
 * Which program a name means, and what is done about one that nobody here knows.
 */
import { basename } from 'node:path/posix'
import { type Action, forbidden } from '../actions.js'
import { ARCHIVES } from './archives.js'
import { BUILTINS } from './builtins.js'
import { CLOUDS } from './clouds.js'
import { DATABASES } from './databases.js'
import { type Field, headOf, shown, textOf } from './field.js'
import { FILE_PROGRAMS } from './file-programs.js'
import { FIND } from './find.js'
import { GIT } from './git.js'
import type { Invocation, Programs, ShellHost } from './host.js'
import { INTERPRETERS, runScriptFile } from './interpreters.js'
import { MOVING_PROGRAMS } from './moving-programs.js'
import { NETWORK_PROGRAMS } from './network-programs.js'
import { OPERATIONS, projectWork } from './operations.js'
import { operandsOf, valuesOf } from './options.js'
import { touch } from './paths.js'
import { contentOf } from './redirection.js'
import type { Scope } from './scope.js'
import { SIZE_PROGRAMS } from './size-programs.js'
import { DOWNLOAD, type Stream, UNKNOWN } from './stream.js'
import { SYSTEM_PROGRAMS } from './system-programs.js'
import { TEXT_PROGRAMS } from './text-programs.js'
import { WRAPPERS } from './wrappers.js'

const PROGRAMS: Programs = {
  ...BUILTINS,
  ...FILE_PROGRAMS,
  ...MOVING_PROGRAMS,
  ...SIZE_PROGRAMS,
  ...TEXT_PROGRAMS,
  ...ARCHIVES,
  ...FIND,
  ...INTERPRETERS,
  ...NETWORK_PROGRAMS,
  ...OPERATIONS,
  ...CLOUDS,
  ...DATABASES,
  ...SYSTEM_PROGRAMS,
  ...WRAPPERS,
  ...GIT,
}

/** Their arguments are text for people or patterns, whatever they look like. */
const TEXT_ONLY = new Set([
  ...['echo', 'printf', 'grep', 'egrep', 'fgrep', 'rg', 'ag', 'ack', 'man', 'info', 'help', 'which', 'type', 'whereis'],
  ...[
    'test',
    '[',
    'true',
    'false',
    ':',
    'expr',
    'seq',
    'date',
    'sleep',
    'cowsay',
    'figlet',
    'banner',
    'logger',
    'jq',
    'apropos',
  ],
])

export function runProgram(
  shell: ShellHost,
  name: string,
  args: readonly Field[],
  scope: Scope,
  stdin: Stream,
): Stream {
  const call: Invocation = { shell, name: basename(name), args, scope, stdin }
  // The source of a link counts from where the link is.
  if (!TEXT_ONLY.has(call.name) && call.name !== 'ln') checkArguments(call)
  // The index of an array is computed, and computing runs what stands in it.
  if (INDEXING.has(call.name) && args.some((arg) => /\[.*(\$\(|`)/s.test(shown(arg)))) {
    shell.unresolved('names an element of an array by a command')
  }
  if (name.includes('/') && contentOf(shell, [name], scope)) return runScriptFile(call, [name], args)
  const program = Object.hasOwn(PROGRAMS, call.name) ? PROGRAMS[call.name] : undefined
  const output = (program ? program(call) : unknownProgram(call, name)) ?? UNKNOWN
  return output.kind === 'unknown' && stdin.kind === 'download' ? DOWNLOAD : output
}

/** Take names of variables, elements of arrays included. */
const INDEXING = new Set([
  'test',
  '[',
  'printf',
  'unset',
  'read',
  'declare',
  'typeset',
  'local',
  'export',
  'readonly',
  'mapfile',
  'wait',
])

/** A path to a secret is one in whatever program, also as `@file`, `key=file` or `file:`. */
function checkArguments({ shell, args, scope }: Invocation): void {
  for (const arg of args) {
    const text = headOf(arg)
    if (!/[/.~]/.test(text)) continue
    const parts = text.split(/[=@:,]+/)
    for (const [index, part] of parts.entries()) {
      const field = index === parts.length - 1 ? [part, ...arg.slice(1)] : [part]
      for (const place of shell.places.resolve(field, scope.directories)) {
        const zone = shell.places.zoneOf(place)
        if (zone === 'secret' || zone === 'foreign' || zone === 'device') touch(shell, 'read', field, scope)
      }
    }
  }
}

/** Options that name what a program writes, nearly everywhere. */
const OUTPUTS = ['-o', '--output', '--out', '--outfile', '--out-dir', '--outdir', '--output-dir', '--prefix', '-out']

/**
 * A program of the project, or one that is not known here. It may run anything; what its arguments spell as a command is
 * looked at as one.
 */
function unknownProgram(call: Invocation, name: string): Stream {
  const { shell, args, scope } = call
  if (/[\s;|&<>$`(){}]/.test(name)) return shell.unresolved(`runs a program with an odd name: ${name}`)
  const inside = forbidden(shell.foundIn((other) => runTails(call, other)))
  for (const action of inside ? [inside] : likelyInside(call)) shell.report(action.class, action.what)
  if (name.includes('/')) touch(shell, 'read', [name], scope)
  for (const target of valuesOf(args, OUTPUTS))
    if (/^([/~]|\.\.)/.test(headOf(target))) touch(shell, 'write', target, scope)
  projectWork(
    call,
    args.map((arg) => textOf(arg) ?? ''),
  )
  return UNKNOWN
}

/** Each tail of the arguments that begins with a program, and each sentence. */
function runTails({ args, scope, stdin }: Invocation, shell: ShellHost): void {
  args.forEach((arg, index) => {
    const text = textOf(arg)
    if (text === undefined || text.startsWith('-')) return
    if (isKnownProgram(text)) shell.invoke(args.slice(index), scope.clone(), stdin)
    else if (/[\s;|`$]/.test(text)) shell.runText(text, scope.clone(), stdin)
  })
}

/** What a wrapper nobody knows would run: its first operand with what follows, or the text of `-c`. */
function likelyInside({ shell, args, scope, stdin }: Invocation): readonly Action[] {
  const operands = operandsOf(args, [], true)
  const lines = valuesOf(args, ['-c', '--command', '--exec', '--run', '--cmd'])
  return shell.foundIn((other) => {
    const first = textOf(operands[0])
    // A wrapper with options may hold another one.
    const isWrapper = headOf(args[0] ?? []).startsWith('-') && operands.length > 1
    if (first !== undefined && (isKnownProgram(first) || isWrapper)) other.invoke(operands, scope.clone(), stdin)
    for (const line of lines) {
      const text = textOf(line)
      if (text !== undefined && /[\s{;|&$`]/.test(text)) other.runText(text, scope.clone(), stdin)
    }
  })
}

/** Whether a name is that of a program whose doings are known here. */
export const isKnownProgram = (name: string): boolean => Object.hasOwn(PROGRAMS, basename(name))
