/**
 * The ways that a script may go: branches, loops, and commands of which the next depends on the last. All of them are walked,
 * and what is known afterwards is what all agree on.
 */
import type { CommandNode, Statement } from 'unbash'
import { expandText, expandWord } from './expand.js'
import { ANY, type Field } from './field.js'
import type { ShellHost } from './host.js'
import type { Scope } from './scope.js'
import { after, NOTHING, type Stream, UNKNOWN } from './stream.js'
import { alwaysSucceeds, either, isEndless } from './syntax.js'

/** Who carries out what stands on a way. */
export interface Walker extends ShellHost {
  list(statements: readonly Statement[], scope: Scope, stdin: Stream): Stream
  node(node: Statement['command'] | CommandNode, scope: Scope, stdin: Stream): Stream
}

/** Values that a `for` is followed through one by one. */
const MAX_LOOP_VALUES = 64
/** Of a loop until nothing new is learnt: knowledge only shrinks, so it takes two or three. */
const MAX_ROUNDS = 12

type Compound = Exclude<
  CommandNode,
  { type: 'Command' | 'Redirected' | 'Function' | 'Coproc' | 'Subshell' | 'BraceGroup' }
>
type Of<Type extends Compound['type']> = Extract<Compound, { type: Type }>

export function compound(walker: Walker, node: Compound, scope: Scope, stdin: Stream): Stream {
  switch (node.type) {
    case 'If':
      return conditional(walker, node, scope, stdin)
    case 'Case':
      return choice(walker, node, scope, stdin)
    case 'For':
    case 'Select': {
      const values = node.wordlist?.flatMap((word) => expandWord(word, scope, walker)) ?? scope.positional
      return each(walker, node.name.value, values, node.body.commands, scope, stdin)
    }
    case 'While':
      if (isEndless(node)) walker.report('system.exhaust', 'starts processes without an end in sight')
      return loop(scope, (inner) => {
        walker.list(node.clause.commands, inner, stdin)
        return walker.list(node.body.commands, inner, stdin)
      })
    case 'ArithmeticFor':
      walker.nested(node, scope)
      return loop(scope, (inner) => walker.list(node.body.commands, inner, stdin))
    case 'TestCommand':
    case 'ArithmeticCommand':
      walker.nested(node, scope)
      return NOTHING
  }
}

function conditional(walker: Walker, node: Of<'If'>, scope: Scope, stdin: Stream): Stream {
  let output = walker.list(node.clause.commands, scope, stdin)
  const ways = [scope.clone()]
  const bodies = [node.then, ...node.elif.flatMap((elif) => [elif.clause, elif.then]), node.else]
  for (const body of bodies) {
    const way = scope.clone()
    if (body) output = either(output, walker.list(body.commands, way, stdin))
    ways.push(way)
  }
  scope.become(ways)
  return output
}

function choice(walker: Walker, node: Of<'Case'>, scope: Scope, stdin: Stream): Stream {
  expandText(node.word, scope, walker)
  let output = NOTHING
  const ways = [scope.clone()]
  for (const item of node.items) {
    const way = scope.clone()
    for (const pattern of item.pattern) expandText(pattern, way, walker)
    output = either(output, walker.list(item.body.commands, way, stdin))
    ways.push(way)
  }
  scope.become(ways)
  return output
}

function each(
  walker: Walker,
  name: string,
  values: readonly Field[] | undefined,
  body: readonly Statement[],
  scope: Scope,
  stdin: Stream,
): Stream {
  if (values === undefined || values.length > MAX_LOOP_VALUES) {
    return loop(scope, (inner) => {
      inner.assign(name, ANY)
      return walker.list(body, inner, stdin)
    })
  }
  let output = NOTHING
  const ways = [scope.clone()]
  for (const value of values) {
    scope.assign(name, value)
    output = after(output, walker.list(body, scope, stdin))
    // `break` and `continue` may leave at any time.
    ways.push(scope.clone())
  }
  scope.become(ways)
  return output
}

/** Runs the body until what is known does not change any more. */
function loop(scope: Scope, body: (scope: Scope) => Stream): Stream {
  let output = NOTHING
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const way = scope.clone()
    output = body(way).kind === 'none' && output.kind === 'none' ? NOTHING : UNKNOWN
    const before = scope.clone()
    scope.become([before, way])
    if (scope.equals(before)) break
  }
  return output
}

/** Commands joined by `&&` and `||`: each may be the last. */
export function andOr(walker: Walker, commands: readonly Statement['command'][], scope: Scope, stdin: Stream): Stream {
  let output = NOTHING
  let mayHaveStopped = false
  const ways: Scope[] = []
  for (const command of commands) {
    if (mayHaveStopped) ways.push(scope.clone())
    output = after(output, walker.node(command as CommandNode, scope, stdin))
    mayHaveStopped = !alwaysSucceeds(command)
  }
  if (ways.length > 0) scope.become([scope.clone(), ...ways])
  return output
}
