/**
 * What the operator's file of MCP servers may say, and what is said of one that is wrong.
 */
import { expect, test } from 'vitest'
import { sessionOptionsSchema } from '../../../../src/protocol/session.js'
import { effectOf, toolName } from '../../../../src/runtimes/mcp/remote-tool.js'
import { parseMcpServers } from '../../../../src/runtimes/mcp/servers.js'

const FILE = `
mcpServers:
  files: {command: mcp-files, args: [--root, .], env: {KEY: "\${KEY}"}, timeout: 5000}
  search: {type: http, url: "https://search.example/mcp", headers: {authorization: "Bearer \${TOKEN:-none}"}, tools: [find]}
`

test('it has the shape of .mcp.json, in YAML or JSON, with values of the environment', () => {
  const servers = parseMcpServers(FILE, 'servers.yaml', { KEY: 'k' })

  expect(servers.of(['files', 'search'])).toMatchObject([
    { kind: 'stdio', command: 'mcp-files', args: ['--root', '.'], env: { KEY: 'k' }, callTimeoutMs: 5_000 },
    { kind: 'http', url: 'https://search.example/mcp', headers: { authorization: 'Bearer none' }, tools: ['find'] },
  ])
  expect(parseMcpServers('{"mcpServers": {"a": {"command": "x"}}}', 'servers.json').names).toEqual(['a'])
})

test.each([
  ['servers: {}', /servers\.yaml: .*mcpServers/],
  ['mcpServers: {a: {args: [x]}}', /servers\.yaml: mcpServers\.a\.command: /],
  ['mcpServers: {a: {command: x, comand: y}}', /mcpServers\.a: .*comand/],
  ['mcpServers: {a: {url: "ftp://x"}}', /mcpServers\.a\.url: /],
  ['mcpServers: {a__b: {command: x}}', /mcpServers\.a__b: /],
  ['mcpServers: {a: {command: x, effect: sometimes}}', /mcpServers\.a\.effect: /],
  ['mcpServers: {a: {command: x, timeout: 0}}', /mcpServers\.a\.timeout: /],
  [
    `mcpServers: {a: {command: x, env: {KEY: "\${KEY}"}}}`,
    /mcpServers\.a\.env\.KEY: KEY is not set in the environment/,
  ],
  ['mcpServers: {', /servers\.yaml: /],
])('%s is refused with file and field', (text, message) => {
  expect(() => parseMcpServers(text, 'servers.yaml')).toThrow(message)
})

test('a client names servers, few of them, each once, and no address that is none', () => {
  const fits = (mcpServers: unknown) => sessionOptionsSchema.safeParse({ mcpServers }).success

  expect(fits(['files', { name: 'mine', url: 'https://mine.example/mcp' }])).toBe(true)
  expect(fits(['files', { name: 'files', url: 'https://mine.example/mcp' }])).toBe(false)
  expect(fits(Array.from({ length: 9 }, (_none, index) => `server-${index}`))).toBe(false)
  expect(fits([{ name: 'mine', url: 'file:///etc/passwd' }])).toBe(false)
  expect(fits([{ name: 'mine', url: `https://mine.example/${'x'.repeat(300)}` }])).toBe(false)
  expect(fits([{ name: 'mine', command: 'sh' }])).toBe(false)
})

test('names of tools are what vendors take, and two tools never have the same', () => {
  const names = ['plain', 'odd.name', 'odd name', 'x'.repeat(80), `${'x'.repeat(80)}y`].map((tool) =>
    toolName('a', tool),
  )

  expect(new Set(names).size).toBe(names.length)
  expect(names[0]).toBe('mcp__a__plain')
  for (const name of names) expect(name).toMatch(/^[A-Za-z0-9_-]{1,64}$/)
})

test.each([
  [{ readOnlyHint: true }, 'read'],
  [{ idempotentHint: true }, 'idempotent'],
  [{ readOnlyHint: false, destructiveHint: false }, 'once'],
  [undefined, 'once'],
])('a tool with annotations %j is of class %s', (annotations, expected) => {
  const [server] = parseMcpServers('mcpServers: {a: {command: x}}', 'servers.yaml').of(['a'])
  if (!server) throw new Error('no server')

  expect(effectOf(server, { name: 'it', ...(annotations && { annotations }) })).toBe(expected)
  expect(effectOf({ ...server, effects: { it: 'ask' } }, { name: 'it' })).toBe('ask')
  expect(effectOf({ ...server, effect: 'read' }, { name: 'it' })).toBe('read')
})
