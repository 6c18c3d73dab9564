/**
 * Programs that delete files, copy and move them, and make links.
 */
import { type Field, headOf, joined, shown, textOf } from './field.js'
import { named, type Program, type Programs } from './host.js'
import { hasOption, operandsOf, valuesOf } from './options.js'
import { type Touch, touch } from './paths.js'
import { contentOf, noteWritten } from './redirection.js'
import { NOTHING, UNKNOWN } from './stream.js'

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

export const MOVING_PROGRAMS: Programs = {
  ...named(remove, 'rm unlink rmdir shred srm wipe rimraf trash del'),
  ...{ cp, mv: copy(['read', 'delete']), install: copy(['read']), ln: link, link },
}
