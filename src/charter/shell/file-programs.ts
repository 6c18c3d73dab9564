/**
 * Programs that read files, list them, and change what is known of them.
 */
import { headOf, shown, textOf } from './field.js'
import { named, type Program, type Programs } from './host.js'
import { COUNTED, on } from './operands.js'
import { hasOption, operandsOf } from './options.js'
import { touch } from './paths.js'
import { contentOf, noteWritten } from './redirection.js'
import { ENDLESS } from './size-programs.js'
import { after, ENDLESS_STREAM, NOTHING, type Stream, textStream, UNKNOWN } from './stream.js'

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
  ...named(change, 'chmod chown chgrp setfacl chattr setcap'),
  ...{ cat, tee, ls, dir: ls },
  dirname: ({ args }) => {
    const text = textOf(args[0])
    return text === undefined
      ? UNKNOWN
      : textStream(text.includes('/') ? text.slice(0, text.lastIndexOf('/')) || '/' : '.')
  },
}
