/**
 * A process of its own for tests that kill, freeze or block one: a member, or a coordinator. Takes its code from `src` or
 * from `dist`, and says `ready` when it has started.
 */
import type { MembershipOptions } from '../../../src/cluster/membership.js'
import type { RedisConfig } from '../../../src/redis/connect.js'

export interface NodeProgram {
  readonly kind: 'member' | 'coordinator'
  /** URL of the folder that holds the code, with a slash at its end. */
  readonly code: string
  readonly id: string
  readonly cluster: string
  readonly redis: RedisConfig
  readonly databaseUrl: string
  readonly shardCount: number
  /** What a member runs once it has joined. */
  readonly command?: SessionCommand | undefined
}

/** A line of bash that runs in a session's directory, as a call of its tool or as an MCP server that it has attached. */
export interface SessionCommand {
  readonly line: string
  readonly workspace: string
  readonly as: 'tool' | 'mcp-server'
}

type Code = {
  membership: typeof import('../../../src/cluster/membership.js')
  beats: typeof import('../../../src/cluster/beats.js')
  shardLoads: typeof import('../../../src/cluster/shard-loads.js')
  requests: typeof import('../../../src/storage/cluster-requests.js')
  primary: typeof import('../../../src/redis/primary.js')
  channel: typeof import('../../../src/cluster/control-channel.js')
  coordinator: typeof import('../../../src/coordinator/coordinator.js')
  connect: typeof import('../../../src/redis/connect.js')
  database: typeof import('../../../src/storage/database.js')
  nodes: typeof import('../../../src/storage/nodes.js')
  leader: typeof import('../../../src/storage/leader.js')
  assignments: typeof import('../../../src/storage/shard-assignments.js')
  supervisor: typeof import('../../../src/runtimes/tools/supervisor.js')
  toolbox: typeof import('../../../src/runtimes/tools/toolbox.js')
  metrics: typeof import('../../../src/telemetry/metrics.js')
  stdio: typeof import('../../../src/runtimes/mcp/stdio-transport.js')
  servers: typeof import('../../../src/runtimes/mcp/servers.js')
}

const MODULES: Readonly<Record<keyof Code, string>> = {
  membership: 'cluster/membership.js',
  beats: 'cluster/beats.js',
  shardLoads: 'cluster/shard-loads.js',
  requests: 'storage/cluster-requests.js',
  primary: 'redis/primary.js',
  channel: 'cluster/control-channel.js',
  coordinator: 'coordinator/coordinator.js',
  connect: 'redis/connect.js',
  database: 'storage/database.js',
  nodes: 'storage/nodes.js',
  leader: 'storage/leader.js',
  assignments: 'storage/shard-assignments.js',
  supervisor: 'runtimes/tools/supervisor.js',
  toolbox: 'runtimes/tools/toolbox.js',
  metrics: 'telemetry/metrics.js',
  stdio: 'runtimes/mcp/stdio-transport.js',
  servers: 'runtimes/mcp/servers.js',
}

const write = (fields: object, message: string) => console.log(message, JSON.stringify(fields))
const log = { info: write, warn: write, error: write }

async function loadCode(folder: string): Promise<Code> {
  const entries = Object.entries(MODULES).map(async ([name, file]) => [name, await import(new URL(file, folder).href)])
  return Object.fromEntries(await Promise.all(entries)) as Code
}

async function run(program: NodeProgram): Promise<void> {
  const code = await loadCode(program.code)
  const url = program.databaseUrl
  const database = await code.database.openDatabase({ kind: 'postgres', url, poolSize: 2, connectTimeoutMs: 5_000 })
  const start = program.kind === 'member' ? runMember : runCoordinator
  await start(program, code, database)
  console.log('ready')
}

type Database = Awaited<ReturnType<Code['database']['openDatabase']>>

/** `block <ms>` on standard input blocks the main loop. */
async function runMember({ id, cluster, redis, command }: NodeProgram, code: Code, database: Database): Promise<void> {
  const nodes = new code.nodes.Nodes(database)
  const options: MembershipOptions = {
    id,
    cluster,
    redis,
    nodes,
    log,
    role: 'worker',
    version: '2.0.0',
    weight: 1,
    capacity: 10,
  }
  const member = new code.membership.Membership(options)
  member.onDead(() => process.exit(3))
  process.stdin.on('data', (text) => {
    const ms = Number(String(text).split(' ')[1])
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms)
  })
  await member.start()
  if (!command) return
  const supervisor = new code.supervisor.Supervisor({ relayBeats: (pipe) => member.relayBeats(pipe) })
  if (command.as === 'tool') callTool(command, code, supervisor)
  else await startServer(command, code, supervisor)
}

type Guard = InstanceType<Code['supervisor']['Supervisor']>

function callTool({ line, workspace }: SessionCommand, code: Code, supervisor: Guard): void {
  const tools = code.toolbox.standardTools({ supervisor })
  const input = { command: line, timeout: 60_000 }
  const holder = { tenant: 'acme', owner: 'ann', sessionId: 'session_000_test', orchestratorId: 'main' }
  const { signal } = new AbortController()
  void tools.run({ callId: 'call', name: 'bash_execute', input }, { ...holder, workspace, signal })
}

async function startServer({ line, workspace }: SessionCommand, code: Code, supervisor: Guard): Promise<void> {
  const declared = { mcpServers: { mine: { command: 'bash', args: ['-c', line] } } }
  const [server] = code.servers.parseMcpServers(JSON.stringify(declared), 'servers.json').of(['mine'])
  if (server?.kind !== 'stdio') throw new Error('no server that is a process')
  await new code.stdio.StdioTransport(server, { workspace, sandbox: [], supervisor }).start()
}

async function runCoordinator(program: NodeProgram, code: Code, database: Database): Promise<void> {
  const { id, cluster, shardCount } = program
  const redis = await code.connect.connectCommands(program.redis, () => undefined)
  const connectReader = () => code.connect.connectBlocking(program.redis, () => undefined)
  const coordinator = new code.coordinator.Coordinator({
    id,
    shardCount,
    leader: new code.leader.LeaderLease(database),
    nodes: new code.nodes.Nodes(database),
    assignments: new code.assignments.ShardAssignments(database),
    beats: new code.beats.Beats(redis, cluster),
    shardLoads: new code.shardLoads.RedisShardLoads(redis, cluster),
    primary: () => code.primary.primaryIdentity(redis),
    requests: new code.requests.ClusterRequests(database),
    control: new code.channel.RedisControlChannel({ id, cluster, redis, connectReader, log }),
    metrics: code.metrics.createMetrics().cluster,
    log,
    clock: () => performance.now(),
    migrationTimeoutMs: 10_000,
  })
  await coordinator.start()
}

// Only as a program, which gets its orders as one argument.
const orders = process.argv[2]
if (process.argv[1]?.endsWith('node-program.ts') && orders) await run(JSON.parse(orders) as NodeProgram)
