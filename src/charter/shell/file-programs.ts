/**
 * Programs that read, write and delete files.
 */
import { type Field, headOf, joined, shown, textOf } from './field.js'
import { named, type Program, type Programs } from './host.js'
import { COUNTED, on } from './operands.js'
import { hasOption, operandsOf, valuesOf } from './options.js'
import { type Touch, touch } from './paths.js'
import { contentOf, noteWritten } from './redirection.js'
import { after, ENDLESS_STREAM, NOTHING, type Stream, textStream, UNKNOWN } from './stream.js'

/** A file as large as this fills most disks that an agent is given. */
const HUGE_BYTES = 10 * 1024 ** 3

const ENDLESS = /^\/dev\/(zero|full|random|urandom)$/

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

const ls: Program = ({ shell, args, scope }) => {
  for (const operand of operandsOf(args, ['-I', '-w', '-T'])) touch(shell, 'list', operand, scope)
  if (hasOption(args, '-l', '-s', '-i')) return UNKNOWN
  const operands = operandsOf(args, ['-I', '-w', '-T'])
  // Files are printed as they were given; of directories all names, like a bare pattern.
  const areFiles =
    operands.length > 0 && operands.every((operand) => /[*.]/.test(shown(operand).split('/').at(-1) ?? ''))
  return { kind: 'paths', fields: areFiles ? operands : [[{ hole: 'glob' }]] }
}

export const FILE_PROGRAMS: Programs = {
  ...named(
    on('read', COUNTED),
    'head tail less more most bat nl tac rev od hexdump strings wc cut uniq column fold fmt pr expand',
    'unexpand comm paste join diff cmp sdiff colordiff md5sum sha1sum sha256sum sha512sum shasum',
    'cksum sum iconv xmllint dos2unix unix2dos source-highlight zcat bzcat xzcat gzip gunzip bzip2 xz',
    'zstd split csplit',
  ),
  ...named(on('read', [...COUNTED, '--arg', '--argjson', '--indent'], 1), 'jq yq'),
  ...named(
    on('list', ['-L', '-I', '-P', '-d', '-c', '-f', '--format', '--max-depth']),
    'stat file du df tree readlink realpath exa eza lsattr getfacl namei',
  ),
  ...named(on('write', ['-m', '--mode', '-d', '-t', '-r', '--date', '--reference']), 'mkdir touch mkfifo mknod patch'),
  ...named(remove, 'rm unlink rmdir shred srm wipe rimraf trash del'),
  ...named(change, 'chmod chown chgrp setfacl chattr setcap'),
  ...named(resize, 'truncate fallocate'),
  ...{
    cat,
    cp,
    mv: copy(['read', 'delete']),
    install: copy(['read']),
    ln: link,
    link,
    dd,
    tee,
    ls,
    dir: ls,
  },
  dirname: ({ args }) => {
    const text = textOf(args[0])
    return text === undefined
      ? UNKNOWN
      : textStream(text.includes('/') ? text.slice(0, text.lastIndexOf('/')) || '/' : '.')
  },
}
