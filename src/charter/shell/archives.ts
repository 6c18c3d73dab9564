/**
 * Programs that pack, unpack and copy whole trees.
 */
import { type Field, headOf, shown, textOf } from './field.js'
import { named, type Program, type Programs } from './host.js'
import { hasOption, operandsOf, valuesOf } from './options.js'
import { touch } from './paths.js'
import { UNKNOWN } from './stream.js'

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

export const ARCHIVES: Programs = {
  ...named(archive, 'tar bsdtar zip unzip 7z cpio'),
  ...{ rsync, scp: rsync },
}
