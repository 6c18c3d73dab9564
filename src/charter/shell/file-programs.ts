/**
 * Programs that read, write and delete files.
 */
import { forbidden } from '../actions.js'
import { type Field, headOf, joined, shown, textOf } from './field.js'
import type { Invocation, Program, Programs } from './host.js'
import { hasOption, operandsOf, valuesOf } from './options.js'
import { type Touch, touch } from './paths.js'
import { contentOf, noteWritten } from './redirection.js'
import { after, ENDLESS_STREAM, NOTHING, type Stream, textStream, UNKNOWN } from './stream.js'

/** A file as large as this fills most disks that an agent is given. */
const HUGE_BYTES = 10 * 1024 ** 3
const ENDLESS = /^\/dev\/(zero|full|random|urandom)$/

/** Touches all operands; `skip` leaves out leading ones that are no paths. */
const on =
  (how: Touch, valued: readonly string[] = [], skip = 0): Program =>
  (call) => {
    const operands = operandsOf(call.args, valued).slice(skip)
    for (const operand of operands) touch(call.shell, how, operand, call.scope)
    return operands.length === 0 ? passing(call.stdin) : UNKNOWN
  }

/** What a filter lets through: of paths, paths. */
const passing = (stream: Stream): Stream => (stream.kind === 'paths' ? stream : UNKNOWN)

const cat: Program = (call) => {
  const { shell, scope, stdin } = call
  const operands = operandsOf(call.args)
  let output: Stream = operands.length === 0 ? stdin : NOTHING
  for (const operand of operands) {
    if (textOf(operand) === '-') {
      output = after(output, stdin)
      continue
    }
    touch(shell, 'read', operand, scope)
    const content = ENDLESS.test(textOf(operand) ?? '') ? ENDLESS_STREAM : (contentOf(shell, operand, scope) ?? UNKNOWN)
    output = after(output, content)
  }
  return output
}

const remove: Program = ({ shell, args, scope, name }) => {
  const all = hasOption(args, '-r', '-R', '--recursive') || args.some((arg) => /^--recu/.test(headOf(arg)))
  const unlinks = name !== 'rm' && name !== 'rimraf' && name !== 'trash'
  for (const operand of operandsOf(args, name === 'shred' ? ['-n', '-s'] : [])) {
    touch(shell, (all && !unlinks) || name === 'rimraf' ? 'delete-all' : 'delete', operand, scope)
    if (!all && isBareGlob(operand)) touch(shell, 'delete-all', operand, scope)
  }
  return NOTHING
}

const isBareGlob = (field: Field): boolean => /(^|\/)\*+$/.test(shown(field))

/** Reads all operands but the last, which it writes. */
const copy =
  (source: readonly Touch[]): Program =>
  ({ shell, args, scope }) => {
    const directories = valuesOf(args, ['-t', '--target-directory'])
    const operands = operandsOf(args, ['-t', '--target-directory', '-S', '--suffix', '-m', '-o', '-g', '--mode'])
    const targets = directories.length > 0 ? directories : operands.slice(-1)
    for (const from of directories.length > 0 ? operands : operands.slice(0, -1)) {
      for (const how of source) touch(shell, how, from, scope)
    }
    for (const target of targets) {
      if (textOf(target) === '/dev/null' && source.includes('delete'))
        shell.report('files.wipe', 'moves files to nowhere')
      touch(shell, 'write', target, scope)
      noteWritten(shell, target, contentOf(shell, operands[0] ?? [], scope) ?? UNKNOWN, scope)
    }
    return NOTHING
  }

const cp: Program = (call) => {
  const all = hasOption(call.args, '-r', '-R', '-a', '--recursive', '--archive')
  if (hasOption(call.args, '-s', '--symbolic-link')) return link(call)
  return copy([all ? 'read-all' : 'read'])(call)
}

/** A link makes a path in the workspace mean another place, and everything here goes by paths. */
const link: Program = ({ shell, args, scope }) => {
  const operands = operandsOf(args, ['-t', '--target-directory', '-S'])
  const sources = operands.length > 1 ? operands.slice(0, -1) : operands
  const target = operands.at(-1)
  for (const given of sources) {
    const source = target && operands.length > 1 ? besideLink(given, target) : given
    touch(shell, 'read', source, scope)
    const zones = shell.places.resolve(source, scope.directories).map((place) => shell.places.zoneOf(place))
    if (zones.some((zone) => zone !== 'workspace' && zone !== 'scratch' && zone !== 'harmless-device')) {
      shell.report('outside.write', `makes a link to ${shown(source)}, outside of the workspace or all of it`)
    }
  }
  if (target && operands.length > 1) touch(shell, 'write', target, scope)
  return NOTHING
}

/** A relative source counts from where the link is. */
function besideLink(source: Field, link: Field): Field {
  const text = textOf(link)
  if (text === undefined || !text.includes('/') || /^[/~]/.test(headOf(source))) return source
  return joined([text.slice(0, text.lastIndexOf('/') + 1)], source)
}

const change: Program = ({ shell, args, scope, name }) => {
  const [mode, ...operands] = operandsOf(
    args.filter((arg) => !/^-[rwxXst]+$/.test(textOf(arg) ?? '')),
    ['--from'],
  )
  const fromReference = args.some((arg) => headOf(arg).startsWith('--reference'))
  for (const operand of fromReference && mode ? [mode, ...operands] : operands) touch(shell, 'write', operand, scope)
  const setsId =
    name === 'setcap' || (name === 'chmod' && /(^|,)[ugoa]*[+=][rwxXt]*s|^[2467]\d{3}$/.test(textOf(mode) ?? ''))
  if (setsId) shell.report('security.change', 'lets a program run with the rights of its owner')
  return NOTHING
}

const find: Program = (call) => {
  const { shell, args, scope } = call
  const first = args.findIndex((arg) => /^[-(!]/.test(headOf(arg)) && !/^-([HLP]|O\d|D)$/.test(headOf(arg)))
  const given = operandsOf(first < 0 ? args : args.slice(0, first))
  const roots = given.length > 0 ? given : [['.']]
  const tests = first < 0 ? [] : args.slice(first)
  for (const root of roots) touch(shell, 'list', root, scope)
  const isNarrow = tests.some((arg) =>
    /^-i?(name|path|regex|wholename|lname)$|^-(newer|mtime|size|empty)/.test(headOf(arg)),
  )
  const found = roots.map(
    (root): Field => (isNarrow ? joined(root, ['/', { hole: 'below' }]) : joined(root, ['/', { hole: 'below' }])),
  )
  tests.forEach((arg, index) => {
    const test = textOf(arg)
    if (test === '-delete') for (const root of roots) findDelete(call, root, isNarrow)
    else if (/^-(exec|execdir|ok|okdir)$/.test(test ?? ''))
      findExec(call, tests.slice(index + 1), roots, found, isNarrow)
    else if (/^-f(print|print0|printf|ls)$/.test(test ?? '')) touch(shell, 'write', tests[index + 1] ?? [], scope)
  })
  return { kind: 'paths', fields: found }
}

/** Without a filter everything goes, so it counts as the root itself. */
function findDelete({ shell, scope }: Invocation, root: Field, isNarrow: boolean): void {
  touch(shell, isNarrow ? 'delete' : 'delete-all', root, scope)
}

function findExec(
  call: Invocation,
  rest: readonly Field[],
  roots: readonly Field[],
  found: readonly Field[],
  isNarrow: boolean,
): void {
  const end = rest.findIndex((arg) => ['', ';', '+'].includes(textOf(arg) ?? 'x') && textOf(arg) !== '')
  const command = end < 0 ? rest : rest.slice(0, end)
  const replacements = isNarrow ? found : [...found, ...roots]
  for (const path of replacements) {
    const argv = command.map((arg): Field => substitutedIn(arg, '{}', path))
    call.shell.invoke(argv, call.scope.clone(), NOTHING)
  }
}

/** Puts `value` where `mark` stands. */
export function substitutedIn(field: Field, mark: string, value: Field): Field {
  return joined(
    ...field.map((piece): Field => {
      if (typeof piece !== 'string' || !piece.includes(mark)) return [piece]
      return joined(...piece.split(mark).flatMap((part, index): Field[] => (index > 0 ? [value, [part]] : [[part]])))
    }),
  )
}

const dd: Program = ({ shell, args, scope }) => {
  const value = (key: string): Field | undefined => {
    const arg = args.find((each) => headOf(each).startsWith(`${key}=`))
    return arg && joined([headOf(arg).slice(key.length + 1)], arg.slice(1))
  }
  const [input, output] = [value('if'), value('of')]
  if (input) touch(shell, 'read', input, scope)
  if (!output) return UNKNOWN
  touch(shell, 'write', output, scope)
  noteWritten(shell, output, UNKNOWN, scope)
  if (!input || !ENDLESS.test(textOf(input) ?? '')) return NOTHING
  const count = Number(textOf(value('count')) ?? Number.POSITIVE_INFINITY)
  const bytes = count * bytesOf(textOf(value('bs')) ?? '512')
  if (!(bytes < HUGE_BYTES)) shell.report('system.exhaust', 'writes without an end in sight')
  return NOTHING
}

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  k: 1024,
  m: 1024 ** 2,
  g: 1024 ** 3,
  t: 1024 ** 4,
  p: 1024 ** 5,
}

function bytesOf(text: string): number {
  const match = /^\+?(\d+)\s*([kmgtp]?)i?b?$/i.exec(text)
  return match ? Number(match[1]) * (UNITS[(match[2] ?? '').toLowerCase()] ?? 1) : Number.POSITIVE_INFINITY
}

const resize: Program = ({ shell, args, scope }) => {
  const sizes = valuesOf(args, ['-s', '-l', '--size', '--length'])
  if (sizes.some((size) => bytesOf(textOf(size) ?? '') >= HUGE_BYTES)) {
    shell.report('system.exhaust', 'makes a file that fills the disk')
  }
  for (const operand of operandsOf(args, ['-s', '-l', '-r', '-o', '--size', '--length', '--reference']))
    touch(shell, 'write', operand, scope)
  return NOTHING
}

const tee: Program = ({ shell, args, scope, stdin }) => {
  for (const operand of operandsOf(args)) {
    touch(shell, 'write', operand, scope)
    noteWritten(shell, operand, stdin, scope)
  }
  return stdin
}

const sed: Program = ({ shell, args, scope, stdin }) => {
  const scripts = valuesOf(args, ['-e', '--expression'])
  const operands = operandsOf(args, ['-e', '-f', '-l', '--expression', '--file'])
  const fromFile = valuesOf(args, ['-f', '--file']).length > 0
  const all = scripts.length > 0 || fromFile ? scripts : operands.slice(0, 1)
  for (const script of all) checkSedScript({ shell, scope }, script)
  const files = scripts.length > 0 || fromFile ? operands : operands.slice(1)
  const inPlace = args.some((arg) => /^(-[nEersuz]*i|--in-place)/.test(headOf(arg)))
  for (const file of files) touch(shell, inPlace ? 'write' : 'read', file, scope)
  return files.length === 0 && stdin.kind === 'none' ? NOTHING : UNKNOWN
}

/** GNU sed runs commands (`e`) and writes files (`w`). */
function checkSedScript({ shell, scope }: Pick<Invocation, 'shell' | 'scope'>, script: Field): void {
  const text = shown(script)
  if (/(^|[;{}\n])\s*[\d$,/!~a-z]*\s*e(\s|$)/.test(text) || substitutionFlags(text).includes('e')) {
    shell.unresolved(`lets sed run commands: ${text}`)
  }
  const file = /(?:^|[;{}\n/])\s*[\d$,]*w\s+([^;}\n]+)/.exec(text)?.[1]
  if (file !== undefined) touch(shell, 'write', [file.trim()], scope)
}

/** Flags of every `s/…/…/`, whatever stands for the slash. */
function substitutionFlags(script: string): string {
  const found = script.matchAll(/s([^\w\s\\])(?:\\.|(?!\1)[^\\])*\1(?:\\.|(?!\1)[^\\])*\1([a-zA-Z0-9]*)/gs)
  return [...found].map(([, , flags]) => flags).join('')
}

const archive: Program = (call) => {
  const { shell, args, scope, name } = call
  const text = args.map((arg) => shown(arg)).join(' ')
  if (/--(to-command|checkpoint-action|use-compress-program|rsh-command|info-script)|(^|\s)-I\s|\s-TT\s/.test(text)) {
    shell.unresolved(`lets ${name} run a command`)
  }
  for (const target of valuesOf(args, ['-C', '--directory', '-d', '-f', '--file'])) touch(shell, 'write', target, scope)
  const creates =
    name === 'zip' || hasOption(args.slice(0, 1), '-c') || /^[a-z]*c/.test(text) || hasOption(args, '--create')
  for (const operand of operandsOf(args, ['-f', '-C', '-d', '--file', '--directory', '--exclude'])) {
    touch(shell, creates ? 'read-all' : 'list', operand, scope)
    if (creates && name !== 'zip') continue
    if (shell.places.resolve(operand, scope.directories).some((place) => shell.places.zoneOf(place) === 'secret'))
      touch(shell, 'read', operand, scope)
  }
  const lists =
    /^-?[a-zA-Z]*t/.test(text) || name === 'unzip' ? hasOption(args, '-t', '-l', '--list') || /^t/.test(text) : false
  const isElsewhere = valuesOf(args, ['-C', '--directory', '-d']).length > 0
  if (!creates && !lists && !isElsewhere) touch(shell, 'write', ['.'], scope)
  if (hasOption(args, '-P', '--absolute-names')) shell.report('outside.write', 'unpacks to absolute paths')
  return UNKNOWN
}

const rsync: Program = (call) => {
  const { shell, args, scope, stdin } = call
  for (const line of valuesOf(args, ['-e', '--rsh', '--rsync-path'])) {
    const text = textOf(line)
    if (text === undefined) shell.unresolved('lets rsync run a command that is only known then')
    else shell.runText(text, scope.clone(), stdin)
  }
  if (
    valuesOf(args, ['-o', '-S']).some(
      (option) => call.name === 'scp' && !/^(StrictHost|User|Port|Identity|Batch)/i.test(headOf(option)),
    )
  ) {
    shell.unresolved('lets scp run a program for its connection')
  }
  const operands = operandsOf(args, ['-e', '--rsh', '--exclude', '--include', '--rsync-path', '--exclude-from'])
  const target = operands.at(-1)
  if (operands.some((operand) => /^[\w.@-]+:/.test(headOf(operand))))
    shell.report('network.send', 'copies files between machines')
  for (const source of operands.slice(0, -1)) if (!isRemote(source)) touch(shell, 'read-all', source, scope)
  if (target && !isRemote(target)) {
    touch(
      shell,
      hasOption(args, '--delete', '--delete-after', '--delete-before', '--remove-source-files')
        ? 'delete-all'
        : 'write',
      target,
      scope,
    )
  }
  return UNKNOWN
}

const isRemote = (field: Field): boolean => /^[\w.@-]+:/.test(headOf(field)) || headOf(field).startsWith('rsync://')

/** Names of the files in which something was found. */
const grep: Program = ({ shell, args, scope, name, stdin }) => {
  const valued = [
    '-e',
    '-f',
    '-m',
    '-A',
    '-B',
    '-C',
    '-t',
    '-T',
    '-g',
    '--include',
    '--exclude',
    '--exclude-dir',
    '--regexp',
    '--glob',
    '--type',
  ]
  const isRecursive = hasOption(args, '-r', '-R', '--recursive') || ['rg', 'ag', 'ack'].includes(name)
  const givesPattern = valuesOf(args, ['-e', '-f', '--regexp', '--file']).length > 0
  const files = operandsOf(args, valued).slice(givesPattern ? 0 : 1)
  for (const file of files) touch(shell, isRecursive ? 'read-all' : 'read', file, scope)
  for (const file of valuesOf(args, ['-f', '--file'])) touch(shell, 'read', file, scope)
  if (files.length === 0 && !isRecursive) return passing(stdin)
  if (!hasOption(args, '-l', '-L', '--files-with-matches')) return UNKNOWN
  const roots = files.length > 0 ? files : [['.']]
  return {
    kind: 'paths',
    fields: roots.map((root): Field => (isRecursive ? joined(root, ['/', { hole: 'below' }]) : root)),
  }
}

const ls: Program = ({ shell, args, scope }) => {
  for (const operand of operandsOf(args, ['-I', '-w', '-T'])) touch(shell, 'list', operand, scope)
  if (hasOption(args, '-l', '-s', '-i')) return UNKNOWN
  const operands = operandsOf(args, ['-I', '-w', '-T'])
  // Files are printed as they were given; of directories all names, like a bare pattern.
  const areFiles =
    operands.length > 0 && operands.every((operand) => /[*.]/.test(shown(operand).split('/').at(-1) ?? ''))
  return { kind: 'paths', fields: areFiles ? operands : [[{ hole: 'glob' }]] }
}

const decode: Program = ({ shell, args, scope, stdin, name }) => {
  for (const operand of operandsOf(args, ['-w'])) touch(shell, 'read', operand, scope)
  const text = stdin.kind === 'text' ? textOf(stdin.text) : undefined
  if (text === undefined || !hasOption(args, '-d', '-D', '--decode')) return UNKNOWN
  return name === 'base64' ? textStream(Buffer.from(text, 'base64').toString('utf8')) : UNKNOWN
}

const xxd: Program = (call) => {
  const { shell, args, scope, stdin } = call
  const [, output] = operandsOf(args, ['-l', '-s', '-c', '-g'])
  on('read', ['-l', '-s', '-c', '-g'])(call)
  if (output) touch(shell, 'write', output, scope)
  const text = stdin.kind === 'text' ? textOf(stdin.text) : undefined
  const isPlain = hasOption(args, '-r') && hasOption(args, '-p')
  return text !== undefined && isPlain
    ? textStream(Buffer.from(text.replace(/\s/g, ''), 'hex').toString('utf8'))
    : UNKNOWN
}

const awk: Program = ({ shell, args, scope }) => {
  const files = valuesOf(args, ['-f', '--file', '-E'])
  const operands = operandsOf(args, ['-f', '-F', '-v', '-i', '-E', '--file', '--assign'])
  for (const program of files.length > 0 ? [] : operands.slice(0, 1)) {
    const text = shown(program)
    if (/system\s*\(|\|\s*"|"\s*\|\s*&?\s*getline|\|&|\|\s*getline|@load/.test(text)) {
      shell.unresolved('lets awk run commands')
      for (const [, line] of text.matchAll(/"((?:[^"\\]|\\.)*)"/g)) {
        const inside = forbidden(shell.foundIn((other) => other.runText(line ?? '', scope.clone(), NOTHING)))
        if (inside) shell.report(inside.class, inside.what)
      }
    }
    for (const [, file] of text.matchAll(/>\s*"([^"]+)"/g)) touch(shell, 'write', [file ?? ''], scope)
    if (/print[^;}]*>\s*[^"\s]/.test(text) && !/[=!<>]=?\s*\d/.test(text)) shell.unresolved('lets awk write to files')
  }
  for (const file of [...files, ...operands.slice(files.length > 0 ? 0 : 1)]) {
    if (!/^\w+=/.test(headOf(file))) touch(shell, 'read', file, scope)
  }
  return UNKNOWN
}

const sortOf: Program = (call) => {
  for (const target of valuesOf(call.args, ['-o', '--output'])) touch(call.shell, 'write', target, call.scope)
  if (call.args.some((arg) => headOf(arg).startsWith('--compress-program')))
    call.shell.unresolved('lets sort run a program')
  return on('read', ['-k', '-t', '-o', '-S', '-T'])(call)
}

const COUNTED = ['-n', '-c', '-s', '-f', '-d', '-w', '-b', '-k', '-t', '-l', '-N', '-j', '-A', '-i', '-m']
const names = (program: Program, ...list: readonly string[]): Programs =>
  Object.fromEntries(list.map((name) => [name, program]))

export const FILE_PROGRAMS: Programs = {
  ...names(
    on('read', COUNTED),
    'head',
    'tail',
    'less',
    'more',
    'most',
    'bat',
    'nl',
    'tac',
    'rev',
    'od',
    'hexdump',
    'strings',
    'wc',
    'cut',
    'uniq',
    'column',
    'fold',
    'fmt',
    'pr',
    'expand',
    'unexpand',
    'comm',
    'paste',
    'join',
    'diff',
    'cmp',
    'sdiff',
    'colordiff',
    'md5sum',
    'sha1sum',
    'sha256sum',
    'sha512sum',
    'shasum',
    'cksum',
    'sum',
    'iconv',
    'xmllint',
    'dos2unix',
    'unix2dos',
    'source-highlight',
    'zcat',
    'bzcat',
    'xzcat',
    'gzip',
    'gunzip',
    'bzip2',
    'xz',
    'zstd',
    'split',
    'csplit',
  ),
  ...names(on('read', [...COUNTED, '--arg', '--argjson', '--indent'], 1), 'jq', 'yq'),
  ...names(
    on('list', ['-L', '-I', '-P', '-d', '-c', '-f', '--format', '--max-depth']),
    'stat',
    'file',
    'du',
    'df',
    'tree',
    'readlink',
    'realpath',
    'exa',
    'eza',
    'lsattr',
    'getfacl',
    'namei',
  ),
  ...names(
    on('write', ['-m', '--mode', '-d', '-t', '-r', '--date', '--reference']),
    'mkdir',
    'touch',
    'mkfifo',
    'mknod',
    'patch',
  ),
  ...names(remove, 'rm', 'unlink', 'rmdir', 'shred', 'srm', 'wipe', 'rimraf', 'trash', 'del'),
  ...names(change, 'chmod', 'chown', 'chgrp', 'setfacl', 'chattr', 'setcap'),
  ...names(grep, 'grep', 'egrep', 'fgrep', 'zgrep', 'rg', 'ag', 'ack'),
  ...names(archive, 'tar', 'bsdtar', 'zip', 'unzip', '7z', 'cpio'),
  ...names(awk, 'awk', 'gawk', 'mawk', 'nawk'),
  ...names(resize, 'truncate', 'fallocate'),
  ...names(decode, 'base64', 'base32'),
  ...{
    cat,
    cp,
    mv: copy(['read', 'delete']),
    install: copy(['read']),
    ln: link,
    link,
    find,
    dd,
    tee,
    sed,
    gsed: sed,
    rsync,
    ls,
    dir: ls,
    xxd,
    sort: sortOf,
  },
  scp: rsync,
  dirname: ({ args }) => {
    const text = textOf(args[0])
    return text === undefined
      ? UNKNOWN
      : textStream(text.includes('/') ? text.slice(0, text.lastIndexOf('/')) || '/' : '.')
  },
}
