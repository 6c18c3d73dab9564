/**
 * Shells and languages: what they are given to run, as a file, as text, or through a pipe.
 */
import { codeConcern } from './code.js'
import { ANY, type Field, headOf, shown, textOf } from './field.js'
import { type Invocation, named, type Program, type Programs } from './host.js'
import { operandsOf, valuesOf } from './options.js'
import { touch } from './paths.js'
import { contentOf } from './redirection.js'
import { type Stream, UNKNOWN } from './stream.js'

const SHELL_VALUES = ['-o', '+o', '-O', '+O', '--rcfile', '--init-file']

/** `sh -c text`, `sh file`, `… | sh`. */
const shellProgram: Program = (call) => {
  const { shell, args, scope, stdin } = call
  for (const file of valuesOf(args, ['--rcfile', '--init-file'])) runScriptFile(call, file, [])
  const operands = operandsOf(args, SHELL_VALUES, true)
  const options = args.slice(0, args.length - operands.length)
  const given = options.map((option) => headOf(option))
  if (given.some((option) => /^[-+]\w*c/.test(option))) return runLine(call, operands)
  const isStdin = operands.length === 0 || given.some((option) => /^-\w*s/.test(option))
  const [file, ...rest] = operands
  if (!isStdin && file) return runScriptFile(call, file, rest)
  if (given.some((option) => /^(-\w*[V]|--version|--help)/.test(option))) return UNKNOWN
  const inner = scope.clone()
  inner.positional = operands
  return runStream({ ...call, scope: inner }, stdin, `${call.name} reads its commands from somewhere unknown`, shell)
}

function runLine({ shell, name, scope, stdin }: Invocation, [script, ...rest]: readonly Field[]): Stream {
  const text = textOf(script)
  if (text === undefined)
    return shell.unresolved(`gives ${name} a command that is only known then: ${shown(script ?? ANY)}`)
  const inner = scope.clone()
  inner.positional = rest.slice(1)
  inner.aliases.clear()
  return shell.runText(text, inner, stdin)
}

function runStream({ scope, name }: Invocation, stream: Stream, unknown: string, shell: Invocation['shell']): Stream {
  if (stream.kind === 'none') return UNKNOWN
  if (stream.kind === 'download') {
    shell.report('download.execute', `lets ${name} run what comes from the network`)
    return UNKNOWN
  }
  const text = stream.kind === 'text' ? textOf(stream.text) : undefined
  return text === undefined ? shell.unresolved(unknown) : shell.runText(text, scope.clone(), UNKNOWN)
}

/** A script that this line has written is read; one that was there before is a program of the project. */
export function runScriptFile(call: Invocation, file: Field, args: readonly Field[]): Stream {
  const { shell, scope } = call
  if (!contentOf(shell, file, scope) && /^\/dev\/(fd|stdin|tcp)|^\/proc\/self\/fd|^-$/.test(headOf(file))) {
    return runStream(
      call,
      call.stdin.kind === 'none' ? UNKNOWN : call.stdin,
      'runs commands from somewhere unknown',
      shell,
    )
  }
  touch(shell, 'read', file, scope)
  const content = contentOf(shell, file, scope)
  if (!content) {
    if (textOf(file) === undefined && file.some((piece) => typeof piece !== 'string' && piece.hole === 'any')) {
      return shell.unresolved('runs a script whose name is only known then')
    }
    shell.report('code.run', `runs ${shown(file)}`)
    return UNKNOWN
  }
  const inner = scope.clone()
  inner.positional = args
  return runStream({ ...call, scope: inner }, content, `runs ${shown(file)}, whose content is only known then`, shell)
}

const source: Program = (call) => {
  const [file, ...rest] = operandsOf(call.args, [], true)
  return file ? runScriptFile(call, file, rest) : UNKNOWN
}

/** A language: text given with one of `inline` is looked through, anything else is a program of the project. */
const language =
  (inline: readonly string[], valued: readonly string[] = []): Program =>
  (call) => {
    const { shell, args, scope, stdin, name } = call
    const codes = inlineCode(args, inline)
    for (const code of codes) judgeCode(call, code)
    const [file] = operandsOf(args, [...inline, ...valued])
    if (codes.length > 0) return UNKNOWN
    const text = textOf(file)
    if (
      file === undefined ||
      text === '-' ||
      (!contentOf(shell, file, scope) && /^\/dev\/(stdin|fd)/.test(headOf(file)))
    ) {
      if (args.some((arg) => /^(-V|-v|--version|-m|--help|-h|--test|--check|-l|-S|--run)/.test(headOf(arg))))
        return moduleRun(call)
      if (stdin.kind === 'text') judgeCode(call, stdin.text)
      else if (stdin.kind === 'download')
        shell.report('download.execute', `lets ${name} run what comes from the network`)
      else if (stdin.kind !== 'none') shell.unresolved(`lets ${name} run text that is only known then`)
      return UNKNOWN
    }
    const content = contentOf(shell, file, scope)
    touch(shell, 'read', file, scope)
    if (content?.kind === 'download')
      shell.report('download.execute', `runs ${shown(file)}, which comes from the network`)
    else if (content?.kind === 'text') judgeCode(call, content.text)
    else if (content) shell.unresolved(`runs ${shown(file)}, whose content is only known then`)
    else shell.report('code.run', `runs ${shown(file)}`)
    return UNKNOWN
  }

/** `python -m module …` runs a tool of the project. */
function moduleRun({ shell, args, scope, stdin }: Invocation): Stream {
  const [module] = valuesOf(args, ['-m'])
  const name = textOf(module)
  if (name === undefined) return UNKNOWN
  const at = args.findIndex((arg) => textOf(arg) === '-m')
  return shell.invoke([[name], ...args.slice(at + 2)], scope, stdin)
}

function inlineCode(args: readonly Field[], inline: readonly string[]): Field[] {
  const found = valuesOf(args, inline)
  args.forEach((arg, index) => {
    // Grouped options: `perl -lane code`, `python -Ic code`.
    const letters = inline.filter((name) => name.length === 2).map((name) => name[1])
    const head = headOf(arg)
    const last = head.at(-1) ?? ''
    const next = args[index + 1]
    if (/^-[A-Za-z0-9]{2,}$/.test(head) && letters.includes(last) && next && !found.includes(next)) found.push(next)
  })
  return found.filter((code) => code.length > 0)
}

function judgeCode({ shell, name }: Invocation, code: Field): void {
  const text = textOf(code)
  if (text === undefined) {
    shell.unresolved(`lets ${name} run text that is only known then`)
    return
  }
  shell.report('code.run', `runs a few lines of ${name}`)
  const concern = codeConcern(text)
  if (concern !== undefined) shell.unresolved(`lets ${name} ${concern}`)
}

/** Editors and debuggers run commands from their command line. */
const editor: Program = ({ shell, args, scope, name }) => {
  const text = args.map((arg) => shown(arg)).join(' ')
  if (/[!`]|system|shell|call |python|lua |eval|--eval|-script/.test(text))
    shell.unresolved(`lets ${name} run commands`)
  for (const operand of operandsOf(args, ['-c', '-s', '-S', '-x', '-ex'])) touch(shell, 'write', operand, scope)
  return UNKNOWN
}

export const INTERPRETERS: Programs = {
  ...named(shellProgram, 'sh bash dash ash zsh ksh mksh rbash fish csh tcsh pwsh'),
  ...named(source, 'source .'),
  ...named(language(['-c'], ['-W', '-X', '-m']), 'python python2 python3 python3.11 python3.12 python3.13 pypy pypy3'),
  ...named(language(['-e', '-E'], ['-I', '-M']), 'perl raku'),
  ...named(
    language(['-e'], ['-r', '-I']),
    'ruby lua luajit julia Rscript elixir erl groovy scala guile swipl osascript',
  ),
  ...named(
    language(['-e', '-p', '--eval', '--print'], ['-r', '--require', '--import', '--loader', '--test-reporter']),
    'node nodejs bun tsx ts-node',
  ),
  ...named(language(['-r', '-R', '-B'], ['-S', '-t', '-d']), 'php'),
  ...named(language(['eval'], []), 'deno'),
  ...named(language([], []), 'tclsh wish octave'),
  ...named(editor, 'vi vim nvim ex ed emacs gdb lldb nano'),
}
