/**
 * The `llm` runtime of a worker that is going to be killed, and of the one that comes after it: real tools, real MCP
 * servers, a supervisor.
 */
import { selectModel } from '../../../src/models/select.js'
import { LlmLoop } from '../../../src/runtimes/llm-loop.js'
import { AttachedServers } from '../../../src/runtimes/mcp/attached-servers.js'
import { parseMcpServers } from '../../../src/runtimes/mcp/servers.js'
import type { Runtime } from '../../../src/runtimes/runtime.js'
import { detectSandbox } from '../../../src/runtimes/tools/sandbox.js'
import { Supervisor } from '../../../src/runtimes/tools/supervisor.js'
import { standardTools } from '../../../src/runtimes/tools/toolbox.js'
import { silentLog } from '../../../src/telemetry/log.js'

export interface CallingRuntimeOptions {
  readonly modelUrl: string
  /** Text of the file of MCP servers. */
  readonly servers: string
}

export async function callingRuntime({ modelUrl, servers }: CallingRuntimeOptions) {
  const sandbox = await detectSandbox()
  const supervisor = new Supervisor({ relayBeats: () => 0 })
  const parts = { sandbox, supervisor, log: silentLog, servers: parseMcpServers(servers, 'servers.json') }
  const attached = new AttachedServers(parts)
  const select = () =>
    selectModel({ openaiModel: 'm', anthropicModel: 'unused', openaiApiKey: 'k', openaiBaseUrl: modelUrl })
  const tools = standardTools({ allowPrivateNetwork: true, sandbox, supervisor })
  const runtime: Runtime = attached.runtime(tools, (all) => {
    return new LlmLoop({ selectModel: select, costOf: () => 0, tools: all })
  })
  const stop = async () => {
    await attached.stop()
    await supervisor.stop()
  }
  return { runtime, stop }
}
