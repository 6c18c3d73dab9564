/**
 * Options and operands of a program's arguments.
 */
import { type Field, headOf, joined, textOf } from './field.js'

/**
 * Arguments that are no options. `valued` names the options whose value is the next word; `stopAtOperand` keeps everything
 * from the first operand on, as programs do that run another one.
 */
export function operandsOf(args: readonly Field[], valued: readonly string[] = [], stopAtOperand = false): Field[] {
  const operands: Field[] = []
  for (let index = 0; index < args.length; index++) {
    const arg = args[index] ?? []
    const text = textOf(arg)
    if (text === '--') return [...operands, ...args.slice(index + 1)]
    if (!headOf(arg).startsWith('-') || text === '-') {
      if (stopAtOperand) return args.slice(index)
      operands.push(arg)
    } else if (text !== undefined && takesNext(text, valued)) index++
  }
  return operands
}

const takesNext = (text: string, valued: readonly string[]): boolean =>
  valued.includes(text) ||
  (/^-[A-Za-z]{2,}$/.test(text) && valued.includes(`-${text.at(-1)}`) && !valued.includes(text.slice(0, 2)))

/**
 * Every value given to one of these options: `-o x`, `-ox`, `-qox`, `--out x`, `--out=x`. `valued` names the other options
 * that take a value, so that theirs is not read as a group.
 */
export function valuesOf(args: readonly Field[], names: readonly string[], valued: readonly string[] = []): Field[] {
  return args.flatMap((arg, index) => {
    const name = names.find(
      (each) => each.startsWith('--') && (headOf(arg) === each || headOf(arg).startsWith(`${each}=`)),
    )
    if (name !== undefined) return valueAfter(arg, name.length, '=', args[index + 1])
    if (names.includes(textOf(arg) ?? '')) return valueAfter(arg, headOf(arg).length, '', args[index + 1])
    const at = groupedAt(headOf(arg), names, valued)
    return at === undefined ? [] : valueAfter(arg, at + 1, '', args[index + 1])
  })
}

/** Where in a group of short options the one stands that takes the rest as its value. */
function groupedAt(head: string, names: readonly string[], valued: readonly string[]): number | undefined {
  if (!/^-[A-Za-z0-9]/.test(head)) return undefined
  for (let at = 1; at < head.length && /[A-Za-z0-9]/.test(head[at] ?? ''); at++) {
    if (names.includes(`-${head[at]}`)) return at
    if (valued.includes(`-${head[at]}`)) return undefined
  }
  return undefined
}

function valueAfter(arg: Field, chars: number, separator: string, next: Field | undefined): Field[] {
  const head = headOf(arg)
  if (head.length === chars && arg.length <= 1) return next ? [next] : []
  return [without(arg, chars + separator.length)]
}

const without = (field: Field, chars: number): Field => joined([headOf(field).slice(chars)], field.slice(1))

/** Whether one of these options is given; short ones also inside of a group like `-xvf`. */
export function hasOption(args: readonly Field[], ...names: readonly string[]): boolean {
  return args.some((arg) => {
    const head = headOf(arg)
    return names.some((name) => {
      if (name.startsWith('--')) return head === name || head.startsWith(`${name}=`)
      return name.length === 2 && /^-[A-Za-z0-9]/.test(head) && head.slice(1).includes(name.slice(1))
    })
  })
}
