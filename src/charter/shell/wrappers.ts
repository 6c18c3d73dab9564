/**
 * Programs that run another program: what matters is the one inside.
 */
import { ANY, type Field, headOf, joined, shown, textOf } from './field.js'
import { substitutedIn } from './find.js'
import { type Invocation, named, type Program, type Programs } from './host.js'
import { hasOption, operandsOf, valuesOf } from './options.js'
import { touch } from './paths.js'
import { linesOf, NOTHING, type Stream, UNKNOWN, wordsOf } from './stream.js'
import { checkVariable } from './variables.js'

/** Runs what follows the options. `skip` leaves out leading operands; `before` looks at the call first. */
const running =
  (valued: readonly string[] = [], skip = 0, before?: (call: Invocation) => void): Program =>
  (call) => {
    before?.(call)
    const argv = operandsOf(call.args, valued, true).slice(skip)
    return inner(call, argv)
  }

function inner({ shell, scope, stdin }: Invocation, argv: readonly Field[]): Stream {
  return argv.length === 0 ? UNKNOWN : shell.invoke(argv, scope.clone(), stdin)
}

/** Runs a whole line, as `sh -c` does. */
function line({ shell, scope, stdin, name }: Invocation, field: Field | undefined): Stream {
  if (field === undefined) return UNKNOWN
  const text = textOf(field)
  if (text === undefined) return shell.unresolved(`gives ${name} a command that is only known then: ${shown(field)}`)
  return shell.runText(text, scope.clone(), stdin)
}

const lineOf = (fields: readonly Field[]): Field =>
  joined(...fields.flatMap((field, index): Field[] => (index === 0 ? [field] : [[' '], field])))

/** Skips `NAME=value`, and looks at what those do. */
function afterAssignments({ shell, scope }: Invocation, argv: readonly Field[]): readonly Field[] {
  let index = 0
  for (; index < argv.length; index++) {
    const head = headOf(argv[index] ?? [])
    const match = /^([A-Za-z_]\w*)=/.exec(head)
    if (!match) break
    checkVariable(shell, match[1] ?? '', joined([head.slice(match[0].length)], (argv[index] ?? []).slice(1)), scope)
  }
  return argv.slice(index)
}

const SUDO_VALUES = [
  '-u',
  '-g',
  '-h',
  '-p',
  '-C',
  '-D',
  '-R',
  '-T',
  '-U',
  '-r',
  '-t',
  '--user',
  '--group',
  '--chdir',
  '--host',
  '--prompt',
]

const sudo: Program = (call) => {
  const { shell, args } = call
  shell.report('privilege', 'asks for the rights of another user')
  const argv = afterAssignments(call, operandsOf(args, SUDO_VALUES, true))
  if (hasOption(args, '-e', '--edit')) for (const path of argv) touch(shell, 'write', path, call.scope)
  if (argv.length === 0 && call.stdin.kind !== 'none')
    return line(call, call.stdin.kind === 'text' ? call.stdin.text : ANY)
  return inner(call, argv)
}

const su: Program = (call) => {
  call.shell.report('privilege', 'asks for the rights of another user')
  const lines = valuesOf(call.args, ['-c', '--command', '--session-command'])
  for (const each of lines) line(call, each)
  if (call.name !== 'su') return running(['-u', '--user', '-c', '-g', '-s'])(call)
  if (lines.length === 0 && call.stdin.kind !== 'none')
    return line(call, call.stdin.kind === 'text' ? call.stdin.text : ANY)
  return UNKNOWN
}

const env: Program = (call) => {
  const { shell, args, scope } = call
  const split = valuesOf(args, ['-S', '--split-string'])
  const rest = afterAssignments(
    call,
    operandsOf(args, ['-u', '-C', '-S', '--unset', '--chdir', '--split-string'], true),
  )
  for (const directory of valuesOf(args, ['-C', '--chdir'])) shell.invoke([['cd'], directory], scope, NOTHING)
  const words = split.map((field) => lineOf([field, ...rest]))
  if (words.length > 0) return line(call, words[0])
  if (rest.length > 0) return inner(call, rest)
  shell.report('files.read', 'reads the environment')
  return UNKNOWN
}

const xargs: Program = (call) => {
  const { shell, args, scope, stdin } = call
  const valued = [
    '-I',
    '-n',
    '-P',
    '-L',
    '-d',
    '-s',
    '-a',
    '-E',
    '--max-args',
    '--max-procs',
    '--arg-file',
    '--delimiter',
    '--replace',
  ]
  const found = operandsOf(args, valued, true)
  const command = found.length > 0 ? found : [['echo']]
  const mark = textOf(valuesOf(args, ['-I', '--replace'])[0])
  const words = wordsOf(stdin) ?? [ANY]
  for (const [index] of words.entries()) {
    const argv =
      mark === undefined ? [...command, ...words] : command.map((arg) => substitutedIn(arg, mark, words[index] ?? ANY))
    shell.invoke(argv, scope.clone(), NOTHING)
    if (mark === undefined || index > 32) break
  }
  if (words.length === 0) shell.invoke([...command, ANY], scope.clone(), NOTHING)
  return UNKNOWN
}

const parallel: Program = (call) => {
  const { args, stdin } = call
  const cut = args.findIndex((arg) => /^:::/.test(headOf(arg)))
  const command = operandsOf(
    cut < 0 ? args : args.slice(0, cut),
    ['-j', '--jobs', '-I', '-n', '-N', '-a', '--joblog'],
    true,
  )
  const values = cut < 0 ? (linesOf(stdin) ?? [ANY]) : args.slice(cut + 1)
  for (const value of values.slice(0, 32)) {
    const words = command.length === 0 ? [value] : command.map((arg) => substitutedIn(arg, '{}', value))
    const appended =
      command.some((arg) => shown(arg).includes('{}')) || command.length === 0 ? words : [...words, value]
    line(call, lineOf(appended))
  }
  return UNKNOWN
}

const watch: Program = (call) => line(call, lineOf(operandsOf(call.args, ['-n', '--interval', '-d'], true)))

const flock: Program = (call) => {
  const lines = valuesOf(call.args, ['-c', '--command'])
  if (lines.length > 0) return line(call, lines[0])
  return running(['-w', '-E', '--timeout'], 1)(call)
}

const script: Program = (call) => {
  for (const each of valuesOf(call.args, ['-c', '--command'])) line(call, each)
  for (const target of operandsOf(call.args, ['-c', '--command', '-T', '-E', '-m']))
    touch(call.shell, 'write', target, call.scope)
  return UNKNOWN
}

/** Everything that another machine does is out of sight; what is never allowed there either is found. */
const ssh: Program = (call) => {
  const { shell, args, scope, stdin } = call
  shell.report('remote.run', 'works on another machine')
  const valued = [
    '-p',
    '-i',
    '-l',
    '-o',
    '-F',
    '-J',
    '-L',
    '-R',
    '-D',
    '-b',
    '-c',
    '-e',
    '-E',
    '-m',
    '-S',
    '-w',
    '-W',
    '-I',
    '-Q',
    '-B',
  ]
  const [, ...command] = operandsOf(args, valued, true)
  for (const option of valuesOf(args, ['-o'])) {
    if (/^(ProxyCommand|LocalCommand|KnownHostsCommand)/i.test(headOf(option)))
      shell.unresolved('lets ssh run a command here')
  }
  if (command.length > 0) line({ shell, args, scope, stdin, name: 'ssh' }, lineOf(command))
  return UNKNOWN
}

const scheduler: Program = (call) => {
  const { shell, args, stdin, name } = call
  if (name === 'crontab' && hasOption(args, '-l')) return UNKNOWN
  shell.report('schedule.persist', 'lets commands run later, without anybody who asks')
  if (stdin.kind === 'text')
    line(
      call,
      name === 'crontab'
        ? stdin.text.map((piece) => (typeof piece === 'string' ? piece.replace(/^([\d*/,@-]\S*\s+){5}/gm, '') : piece))
        : stdin.text,
    )
  else if (stdin.kind !== 'none') shell.unresolved('lets commands run later that are only known then')
  return UNKNOWN
}

const privileged = (call: Invocation): void =>
  call.shell.report('privilege', `changes what the rest of the machine is with ${call.name}`)

export const WRAPPERS: Programs = {
  ...named(
    running(),
    'nohup setsid time stdbuf unbuffer caffeinate fakeroot valgrind catchsegv dbus-run-session',
    'xvfb-run ssh-agent busybox toybox firejail proxychains torsocks linux32 linux64 rlwrap chronic',
    'ltrace eatmydata',
  ),
  ...named(running(['-n', '--adjustment']), 'nice'),
  ...named(running(['-c', '-n', '-p', '--class', '--classdata']), 'ionice'),
  ...named(running(['-s', '-k', '--signal', '--kill-after'], 1), 'timeout gtimeout'),
  ...named(running(['-e', '-o', '-p', '-P', '-s', '-u', '-E']), 'strace'),
  ...named(running(['-c', '-p'], 1), 'taskset setarch chrt'),
  ...named(running(['-w', '-S', '-G', '--map-user'], 0, privileged), 'unshare'),
  ...named(running(['-t', '-S', '-G', '--target'], 0, privileged), 'nsenter'),
  ...named(running(['--userspec', '--groups'], 1, privileged), 'chroot'),
  ...named(running(['-p', '--property', '-u', '--unit', '--uid', '--gid', '-E'], 0, privileged), 'systemd-run'),
  ...named(sudo, 'sudo doas pkexec gosu su-exec'),
  ...named(su, 'su runuser'),
  ...named(scheduler, 'at batch crontab'),
  ...named(ssh, 'ssh sshpass mosh autossh'),
  printenv: ({ shell }) => {
    shell.report('files.read', 'reads the environment')
    return UNKNOWN
  },
  ...{ env, xargs, parallel, watch, flock, script },
}
