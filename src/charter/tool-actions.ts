/**
 * What a tool call does, for tools of our own and of the agents that run here.
 */
import { posix } from 'node:path'
import { type Action, forbidden } from './actions.js'
import { Places } from './places.js'
import type { Field } from './shell/field.js'
import { actionOn, type Touch } from './shell/paths.js'
import { Scope } from './shell/scope.js'
import { Shell } from './shell/shell.js'
import { NOTHING } from './shell/stream.js'

export interface ToolUse {
  readonly tool: string
  readonly input: Readonly<Record<string, unknown>>
  readonly workspace: string
}

export interface Doings {
  readonly actions: readonly Action[]
  /** Programs that would run, with the arguments as far as they are known. */
  readonly commands: readonly (readonly string[])[]
  /** Absolute paths that are named. */
  readonly paths: readonly string[]
}

/** Tools that take a path, and what they do to it. */
const FILE_TOOLS: Readonly<Record<string, Touch>> = {
  file_read: 'read',
  file_write: 'write',
  file_list: 'list',
  file_delete: 'delete-all',
  Read: 'read',
  NotebookRead: 'read',
  Write: 'write',
  Edit: 'write',
  MultiEdit: 'write',
  NotebookEdit: 'write',
  LS: 'list',
  Glob: 'list',
  Grep: 'read-all',
}
const PATH_FIELDS = ['path', 'file_path', 'notebook_path', 'directory']
const COMMAND_TOOLS = new Set(['bash_execute', 'Bash', 'shell', 'execute_command', 'run_command', 'PowerShell'])
const WEB_TOOLS = new Set(['web_fetch', 'WebFetch', 'WebSearch'])
/** Files of a project that hold its credentials, and the environment. */
const HOLDS_CREDENTIALS = /reads .*(\/\.env\b|\.(pem|key|p12|pfx|kdbx)\b|environment$)/
/** A script in a file runs later: what is never allowed is refused when it is written. */
const MAX_SCRIPT_CHARS = 100_000

export function doingsOf(use: ToolUse, foreign: readonly string[]): Doings {
  const places = new Places({ workspace: use.workspace, foreign })
  if (COMMAND_TOOLS.has(use.tool)) return commandDoings(use, places)
  const how = Object.hasOwn(FILE_TOOLS, use.tool) ? FILE_TOOLS[use.tool] : undefined
  if (how) return fileDoings(use, how, places)
  if (WEB_TOOLS.has(use.tool)) return webDoings(use)
  return { actions: [{ class: 'tool.use', what: `uses ${use.tool}` }], commands: [], paths: [] }
}

function commandDoings({ input }: ToolUse, places: Places): Doings {
  const { command, cwd } = input
  // The tool itself refuses input of another shape; nothing runs.
  if (typeof command !== 'string') return { actions: [], commands: [], paths: [] }
  const actions: Action[] = []
  const commands: string[][] = []
  const shell = new Shell(
    places,
    (action) => actions.push(action),
    (argv) => commands.push([...argv]),
  )
  const start = typeof cwd === 'string' ? places.resolve([cwd], [places.workspace]) : [{ path: places.workspace }]
  const directories = start.flatMap(({ path }) => path ?? [])
  shell.runText(command, new Scope(directories), NOTHING)
  return { actions: [...actions, ...leaks(actions)], commands, paths: [] }
}

/** What this line reads and what it sends may be the same. */
function leaks(actions: readonly Action[]): Action[] {
  const sends = actions.find(
    ({ class: name }) => name === 'network.send' || name === 'network.raw' || name === 'network.request',
  )
  const reads = actions.find(({ class: name, what }) => name === 'files.read' && HOLDS_CREDENTIALS.test(what))
  return sends && reads ? [{ class: 'secrets.send', what: `${reads.what} and ${sends.what} in one line` }] : []
}

function fileDoings({ tool, input }: ToolUse, how: Touch, places: Places): Doings {
  const named = PATH_FIELDS.map((name) => input[name]).find((value) => typeof value === 'string')
  const given = typeof named === 'string' ? named : '.'
  const field: Field = [tool.startsWith('file_') ? belowWorkspace(given, places) : given]
  const actions: Action[] = []
  const paths: string[] = []
  for (const place of places.resolve(field, [places.workspace])) {
    const action = actionOn({ places }, how, place)
    if (action) actions.push(action)
    if (place.path !== undefined) paths.push(place.path)
  }
  if (how === 'write') actions.push(...scriptActions(given, input, places))
  return { actions, commands: [], paths }
}

/** Our own tools take an absolute path as one below the workspace, unless it means a place of the machine. */
function belowWorkspace(path: string, places: Places): string {
  if (!path.startsWith('/') || path === '/') return path
  const [place] = places.resolve([path], [places.workspace])
  const zone = place && places.zoneOf(place)
  return zone === 'outside' ? posix.join(places.workspace, posix.resolve('/', path)) : path
}

/** What a script would do that is never allowed. */
function scriptActions(path: string, input: ToolUse['input'], places: Places): Action[] {
  const text = [input.content, input.new_string, input.file_text].find((value) => typeof value === 'string')
  if (typeof text !== 'string' || text.length > MAX_SCRIPT_CHARS) return []
  if (!/\.(sh|bash|zsh|ksh)$/.test(path) && !/^#!.*\b(ba|z|k|da)?sh\b/.test(text)) return []
  const actions: Action[] = []
  new Shell(places, (action) => actions.push(action)).runText(text, new Scope([places.workspace]), NOTHING)
  const found = forbidden(actions)
  return found ? [{ ...found, what: `writes a script that ${found.what}` }] : []
}

function webDoings({ tool, input }: ToolUse): Doings {
  const url = typeof input.url === 'string' ? input.url : ''
  const method = typeof input.method === 'string' ? input.method.toUpperCase() : 'GET'
  const sends = !['GET', 'HEAD', 'OPTIONS'].includes(method)
  const what = `asks ${url || tool}`
  const actions: Action[] = [{ class: 'network.request', what }]
  if (sends) actions.push({ class: 'network.send', what: `sends data to ${url}` })
  if (/169\.254\.169\.254|metadata\.google\.internal/.test(url))
    actions.push({ class: 'secrets.read', what: `${what} for the credentials of this machine` })
  return { actions, commands: [], paths: [] }
}
