/**
 * Programs that look through text and change it: some of them can run commands.
 */
import { forbidden } from '../actions.js'
import { type Field, headOf, joined, shown, textOf } from './field.js'
import { type Invocation, named, type Program, type Programs } from './host.js'
import { on, passing } from './operands.js'
import { hasOption, operandsOf, valuesOf } from './options.js'
import { touch } from './paths.js'
import { NOTHING, textStream, UNKNOWN } from './stream.js'

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

export const TEXT_PROGRAMS: Programs = {
  ...named(grep, 'grep egrep fgrep zgrep rg ag ack'),
  ...named(awk, 'awk gawk mawk nawk'),
  ...named(decode, 'base64 base32'),
  ...{ sed, gsed: sed, xxd, sort: sortOf },
}
