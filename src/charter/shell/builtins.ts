/**
 * Builtins of the shell, and programs that only print.
 */
import { headOf, joined, shown, textOf } from './field.js'
import type { Invocation, Program, Programs } from './host.js'
import { operandsOf } from './options.js'
import { touch } from './paths.js'
import { echo, printf } from './printing.js'
import { ENDLESS_STREAM, NOTHING, ONE_NAME, type Stream, textStream, UNKNOWN } from './stream.js'
import { assignText } from './variables.js'

const nothing: Program = () => NOTHING

const oneName: Program = () => ONE_NAME

function cd({ shell, args, scope }: Invocation): Stream {
  const [target] = operandsOf(args)
  if (target === undefined) {
    scope.directories = shell.places.resolve(['~'], scope.directories).flatMap(({ path }) => path ?? [])
    return NOTHING
  }
  if (textOf(target) === '-' || scope.variables.has('CDPATH')) {
    scope.directories = undefined
    return NOTHING
  }
  const places = shell.places.resolve(target, scope.directories)
  const known = places.flatMap(({ path }) => path ?? [])
  scope.directories = known.length === places.length ? [...new Set(known)] : undefined
  return NOTHING
}

/** `export A=b`, `declare`, `local`, `readonly`: the value is in the argument already. */
function declare({ shell, args, scope }: Invocation): Stream {
  for (const arg of args) {
    const head = headOf(arg)
    const match = /^([A-Za-z_]\w*)(\+?)=/.exec(head)
    if (!match) {
      // `declare -n` makes one name mean another.
      if (/^-\w*n/.test(head)) shell.unresolved('lets one variable stand for another')
      continue
    }
    const value = joined([head.slice(match[0].length)], arg.slice(1))
    assignText(shell, match[1] ?? '', value, match[2] === '+', scope)
  }
  return NOTHING
}

function unset({ args, scope }: Invocation): Stream {
  for (const arg of args) {
    const name = textOf(arg)
    if (name === undefined) continue
    scope.functions.delete(name)
    scope.variables.set(name, 'unknown')
  }
  return NOTHING
}

function set({ args, scope }: Invocation): Stream {
  const end = args.findIndex((arg) => textOf(arg) === '--')
  if (end >= 0) scope.positional = args.slice(end + 1)
  else if (args.some((arg) => !/^[-+]/.test(headOf(arg)))) scope.positional = undefined
  return NOTHING
}

function shift({ scope, args }: Invocation): Stream {
  const by = args.length === 0 ? 1 : Number(textOf(args[0]) ?? Number.NaN)
  scope.positional = Number.isInteger(by) ? scope.positional?.slice(by) : undefined
  return NOTHING
}

/** Sets the variables that it names to what nobody knows. */
const readInto: Program = ({ args, scope }) => {
  for (const arg of operandsOf(args, ['-p', '-d', '-n', '-t', '-u', '-N', '-i', '-c', '-C', '-O', '-s'])) {
    const name = textOf(arg)
    if (name !== undefined) scope.variables.set(name, 'unknown')
  }
  for (const name of ['REPLY', 'MAPFILE']) scope.variables.set(name, 'unknown')
  return NOTHING
}

function evaluate({ shell, args, scope, stdin }: Invocation): Stream {
  const line = joined(...args.map((arg, index) => (index === 0 ? arg : joined([' '], arg))))
  const text = textOf(line)
  if (text === undefined) return shell.unresolved(`evaluates text that is only known then: ${shown(line)}`)
  return shell.runText(text, scope, stdin)
}

function trap({ shell, args, scope }: Invocation): Stream {
  const [action, ...signals] = operandsOf(args, [], true)
  const text = textOf(action)
  if (action === undefined || signals.length === 0 || text === '' || text === '-') return NOTHING
  if (text === undefined) return shell.unresolved('traps a signal with a command that is only known then')
  shell.runText(text, scope.clone(), NOTHING)
  return NOTHING
}

function alias({ shell, args, scope }: Invocation): Stream {
  for (const arg of args) {
    const match = /^([^=]+)=/.exec(headOf(arg))
    if (!match) continue
    const text = textOf(arg)
    if (text === undefined) shell.unresolved(`defines an alias that is only known then: ${shown(arg)}`)
    else scope.aliases.set(match[1] ?? '', text.slice(match[0].length))
  }
  return NOTHING
}

const pwd: Program = ({ scope }) =>
  scope.directories?.length === 1 ? textStream([scope.directories[0] ?? '', '\n']) : UNKNOWN

/** A word without a slash stays one; of a known path the last part. */
const baseName: Program = ({ args }) => {
  const text = textOf(operandsOf(args, ['-s'])[0])
  return text === undefined ? ONE_NAME : textStream(text.split('/').at(-1) ?? '')
}

/** Reads the clock: no slash comes out unless the format has one. */
const date: Program = ({ shell, args }) => {
  if (args.some((arg) => /^(-s|--set)/.test(headOf(arg)))) shell.report('system.service', 'sets the clock')
  return args.some((arg) => shown(arg).includes('/')) ? UNKNOWN : ONE_NAME
}

const command: Program = (call) => {
  const { shell, args, scope, stdin, name } = call
  const [head, ...rest] = operandsOf(args, name === 'exec' ? ['-a'] : [], true)
  if (head === undefined || /^-\w*[vV]/.test(headOf(args[0] ?? []))) return ONE_NAME
  const inner = scope.clone()
  if (name !== 'exec') inner.functions.delete(textOf(head) ?? '')
  const output = shell.invoke([head, ...rest], inner, stdin)
  scope.directories = inner.directories
  return output
}

/** `mktemp`: a new name in /tmp, or of the given form. */
const mktemp: Program = ({ shell, args, scope }) => {
  const [template] = operandsOf(args, ['-p', '--tmpdir'])
  if (template === undefined) return textStream(['/tmp/tmp.', { hole: 'name' }, '\n'])
  touch(shell, 'write', template, scope)
  const text = textOf(template)
  return text === undefined ? UNKNOWN : textStream([text.replace(/X+/, ''), { hole: 'name' }, '\n'])
}

const enable: Program = ({ shell, args }) =>
  args.some((arg) => headOf(arg).startsWith('-f')) ? shell.unresolved('loads a builtin from a file') : NOTHING

const history: Program = ({ shell, args }) => {
  if (args.length > 0) shell.report('security.change', 'changes the record of commands')
  return UNKNOWN
}

export const BUILTINS: Programs = {
  ...Object.fromEntries(
    [
      ':',
      'true',
      'false',
      'test',
      '[',
      'sleep',
      'wait',
      'jobs',
      'fg',
      'bg',
      'disown',
      'shopt',
      'ulimit',
      'umask',
      'hash',
      'return',
      'exit',
      'break',
      'continue',
      'times',
      'complete',
      'clear',
      'reset',
      'tput',
      'stty',
      'sync',
      'which',
      'type',
      'man',
      'info',
      'help',
      'whereis',
      'apropos',
      'logger',
      'cowsay',
      'figlet',
      'ps',
      'top',
      'free',
      'uptime',
      'lscpu',
      'lsof',
      'locale',
    ].map((name) => [name, nothing]),
  ),
  ...Object.fromEntries(
    ['nproc', 'whoami', 'id', 'hostname', 'uname', 'arch', 'tty', 'seq', 'expr', 'getconf', 'uuidgen'].map((name) => [
      name,
      oneName,
    ]),
  ),
  ...{ cd, declare, typeset: declare, local: declare, export: declare, readonly: declare, unset, set, shift },
  ...{ read: readInto, mapfile: readInto, readarray: readInto, getopts: readInto, eval: evaluate, trap, alias },
  ...{ echo, printf, pwd, basename: baseName, date, command, builtin: command, exec: command, mktemp, enable, history },
  yes: () => ENDLESS_STREAM,
  let: ({ shell, args }) => {
    if (args.some((arg) => /[$`[]/.test(shown(arg))))
      return shell.unresolved('computes with text that may run commands')
    return NOTHING
  },
  pushd: cd,
  popd: ({ scope }) => {
    scope.directories = undefined
    return NOTHING
  },
  unalias: ({ scope }) => {
    scope.aliases.clear()
    return NOTHING
  },
}
