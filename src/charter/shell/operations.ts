/**
 * Tools of development: packages, builds, containers, tests, and the scripts of a project.
 */
import { type Action, forbidden } from '../actions.js'
import { headOf, shown, shownAll, textOf } from './field.js'
import { type Invocation, named, type Program, type Programs } from './host.js'
import { hasOption, operandsOf, valuesOf } from './options.js'
import { touch } from './paths.js'
import { type Stream, UNKNOWN } from './stream.js'

/** What the words of an unknown program, or of a script of the project, say that it does. */
export function projectWork({ shell, name }: Invocation, args: readonly string[]): Stream {
  const text = [name, ...args].join(' ').toLowerCase()
  if (
    /(^|[\s:_./-])(deploy|rollout|promote|ship)([\s:_.-]|$)|(^|[\s:_./-])release[:_-]?(prod|production)|publish.*prod/.test(
      text,
    )
  ) {
    shell.report('deploy.production', `deploys: ${text.slice(0, 80)}`)
  } else if (
    /(^|[\s:_./-])(test|tests|jest|vitest|mocha|pytest|tox|ctest|rspec|phpunit|ava|playwright|cypress)([\s:_./-]|$)/.test(
      text,
    )
  ) {
    shell.report('tests.run', `runs tests: ${text.slice(0, 80)}`)
  } else if (
    /(^|[\s:_./-])(lint|eslint|biome|prettier|black|ruff|flake8|gofmt|rustfmt|clippy|fmt|format|stylelint|mypy)([\s:_./-]|$)/.test(
      text,
    )
  ) {
    shell.report('lint.run', `checks the style of code: ${text.slice(0, 80)}`)
  } else shell.report('code.run', `runs ${text.slice(0, 80)}`)
  return UNKNOWN
}

const PACKAGE_VALUES = ['--prefix', '-C', '--cwd', '--filter', '-w', '--workspace', '--registry', '--dir']

/** npm, yarn, pnpm, pip, cargo …: the verb decides; `run x` and `exec x` are work of the project. */
const packages: Program = (call) => {
  const { shell, args, scope, stdin, name } = call
  const [verb = '', ...rest] = operandsOf(args, PACKAGE_VALUES, true)
  const text = shown(verb === '' ? [] : verb)
  for (const directory of valuesOf(args, ['--prefix', '-C', '--cwd', '--dir', '--target', '-t', '--root']))
    touch(shell, 'write', directory, scope)
  if (args.some((arg) => /^--(script-shell|node-options|init-module)/.test(headOf(arg))))
    shell.unresolved(`lets ${name} run another program`)
  for (const target of valuesOf(args, ['-o']))
    if (/^([/~]|\.\.)/.test(headOf(target))) touch(shell, 'write', target, scope)
  if (/^(publish|unpublish|deprecate|dist-tag|yank|owner|token|login|adduser|access)$/.test(text)) {
    shell.report('package.publish', `changes what is published: ${name} ${text}`)
  } else if (/^(exec|x|dlx)$/.test(text)) {
    const lines = valuesOf(args, ['-c', '--call'])
    for (const line of lines) shell.runText(textOf(line) ?? '', scope.clone(), stdin)
    const command = operandsOf(rest, ['-p', '--package', '-c', '--call'], true)
    if (command.length > 0) shell.invoke(command, scope.clone(), stdin)
  } else if (/^(install|i|add|ci|update|upgrade|remove|uninstall|rm|get|download|sync|require)$/.test(text)) {
    touch(shell, 'write', ['.'], scope)
    shell.report('package.install', `changes dependencies: ${name} ${text}`)
    for (const target of rest)
      if (/^(git\+|https?:|file:)/.test(headOf(target))) shell.report('network.request', `takes ${shown(target)}`)
  } else if (text === 'config' || text === 'set-script') {
    shell.report(text === 'config' && shown(rest[0] ?? []) === 'set' ? 'outside.write' : 'code.run', `${name} ${text}`)
    if (shownAll(rest).some((word) => /script-shell|init-module|node-options/.test(word)))
      shell.unresolved(`lets ${name} run another program`)
  } else if (verb !== '') projectWork(call, shownAll([verb, ...rest]))
  return UNKNOWN
}

/** `npx x …` runs x. */
const runner: Program = (call) => {
  const { shell, args, scope, stdin } = call
  for (const line of valuesOf(args, ['-c', '--call'])) shell.runText(textOf(line) ?? '', scope.clone(), stdin)
  const command = operandsOf(args, ['-p', '--package', '-c', '--call', '--with', '--from', '--python'], true)
  const rest =
    textOf(command[0]) === 'run' && call.name !== 'npx'
      ? operandsOf(command.slice(1), ['-p', '--with', '--python'], true)
      : command
  return rest.length > 0 ? shell.invoke(rest, scope.clone(), stdin) : UNKNOWN
}

const make: Program = (call) => {
  const { shell, args, scope, stdin } = call
  for (const directory of valuesOf(args, ['-C', '--directory'])) touch(shell, 'write', directory, scope)
  const files = valuesOf(args, ['-f', '--file', '--makefile'])
  if (
    files.some((file) => /^(-$|\/dev\/|\/proc\/)/.test(headOf(file))) ||
    hasOption(args, '--eval') ||
    shownAll(args).some((word) => /^(SHELL|MAKEFLAGS|\.SHELLFLAGS)=/.test(word))
  ) {
    shell.unresolved('lets make run text that is only known then')
  }
  for (const arg of args) {
    const value = /^\w+=(.*)$/s.exec(textOf(arg) ?? '')?.[1]
    const inside =
      value === undefined ? undefined : forbidden(shell.foundIn((other) => other.runText(value, scope.clone(), stdin)))
    if (inside) shell.report(inside.class, inside.what)
  }
  return projectWork(call, shownAll(args))
}

const CONTAINER_VALUES = [
  '-v',
  '--volume',
  '-p',
  '--publish',
  '-e',
  '--env',
  '--name',
  '-w',
  '--workdir',
  '-u',
  '--user',
  '--network',
  '--mount',
  '--entrypoint',
  '-l',
  '--label',
  '--env-file',
  '-m',
  '--memory',
  '--cpus',
  '--pid',
  '--ipc',
  '--cap-add',
  '--device',
  '--security-opt',
  '--platform',
  '-h',
  '--hostname',
  '--userns',
  '--restart',
  '-H',
  '--host',
  '-c',
  '--context',
]

/** What is done to others, from wherever. */
const LEAVES_A_CONTAINER: ReadonlySet<string> = new Set([
  ...['database.destroy', 'deploy.production', 'infrastructure.destroy', 'remote.shell', 'secrets.send', 'network.raw'],
])

const isStrict = (action: Action): boolean => forbidden([action]) !== undefined

/** Containers with a piece of the machine inside are as good as root on it. */
const container: Program = (call) => {
  const { shell, args, scope, stdin, name } = call
  const text = shownAll(args).join(' ')
  const verb = shown(operandsOf(args, CONTAINER_VALUES)[0] ?? [])
  const opens =
    /--privileged|--(pid|net|network|ipc|userns|uts)[= ]host|--cap-add|--device|docker\.sock|containerd\.sock|seccomp=unconfined/.test(
      text,
    )
  if (opens) shell.report('container.host', `gives a container power over the machine: ${name} ${verb}`)
  for (const volume of valuesOf(args, ['-v', '--volume', '--mount'])) {
    const source = /^(?:.*?(?:source|src)=)?([^:,]+)/.exec(headOf(volume))?.[1] ?? ''
    if (textOf(volume) === undefined && !headOf(volume).includes(':'))
      shell.unresolved('mounts a directory that is only known then')
    if (!/^[/.~]/.test(source)) continue
    const zones = shell.places.resolve([source], scope.directories).map((place) => shell.places.zoneOf(place))
    if (zones.some((zone) => zone !== 'workspace' && zone !== 'whole' && zone !== 'scratch'))
      shell.report('container.host', `gives a container the directory ${source}`)
  }
  if (/(^| )(prune|down -v|down --volumes|volume rm|rmi -f|system reset)( |$)/.test(text))
    shell.report('infrastructure.destroy', `removes containers or their data: ${text.slice(0, 80)}`)
  else if (verb === 'push') shell.report('package.publish', 'publishes an image')
  else if (verb === 'exec' || verb === 'run') {
    const inside = operandsOf(operandsOf(args, CONTAINER_VALUES, true).slice(1), CONTAINER_VALUES, true).slice(1)
    const found = inside.length > 0 ? shell.foundIn((other) => other.invoke(inside, scope.clone(), stdin)) : []
    // Files in there are the container's own; what leaves it is not.
    for (const each of found)
      if (opens ? isStrict(each) : LEAVES_A_CONTAINER.has(each.class)) shell.report(each.class, each.what)
    shell.report('code.run', `runs a container: ${text.slice(0, 80)}`)
  } else shell.report('code.run', `${name} ${text.slice(0, 80)}`)
  return UNKNOWN
}

export const OPERATIONS: Programs = {
  ...named(packages, 'npm yarn pnpm pip pip3 cargo gem composer go poetry bundle mix conda mamba dotnet nuget'),
  ...named(runner, 'npx bunx uvx pipx uv pdm rye corepack'),
  ...named(make, 'make gmake just task ninja rake gradle mvn ant bazel'),
  ...named(container, 'docker podman nerdctl docker-compose ctr lxc'),
}
