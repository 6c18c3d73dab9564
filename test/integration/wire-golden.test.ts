/**
 * The exact JSON of every event of a task, with ids and times replaced. A change here is a change of the wire.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ScriptedModel, startScriptedModel } from '../../scripts/demo/scripted-model.js'
import { costOf } from '../../src/budget/prices.js'
import { selectModel } from '../../src/models/select.js'
import type { LoggedEvent } from '../../src/protocol/events.js'
import { LlmLoop } from '../../src/runtimes/llm-loop.js'
import { standardTools } from '../../src/runtimes/tools/toolbox.js'
import { WorkerCluster } from '../support/worker-cluster.js'

let model: ScriptedModel

beforeAll(async () => {
  model = await startScriptedModel()
})
afterAll(() => model.stop())

/** Replaces what differs from run to run, keeping the order of the fields. */
function golden(event: LoggedEvent): string {
  const names = new Map<string, string>()
  const fixed = (text: string): string =>
    text
      .replace(/session_[0-9a-f]{3}_\w{26}/g, 'SESSION')
      .replace(/(msg|task|cmd)_\w{26}/g, (_id, kind: string) => kind.toUpperCase())
      .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'TIME')
      .replace(/"callId":"([^"]+)"/g, (_whole, id: string) => {
        if (!names.has(id)) names.set(id, `CALL`)
        return `"callId":"${names.get(id)}"`
      })
      .replace(/"duration":\d+/g, '"duration":MS')
      .replace(/"(size|modified)":("[^"]*"|\d+)/g, '"$1":X')
  return fixed(JSON.stringify(event))
}

test('W-30, W-32, W-34, W-36, W-37, W-38: a task with a tool call is told in exactly these events', async () => {
  const runtime = new LlmLoop({
    selectModel: () =>
      selectModel({
        openaiModel: 'gpt-4o-mini',
        anthropicModel: '',
        openaiApiKey: 'k',
        openaiBaseUrl: model.openaiUrl,
      }),
    costOf,
    tools: standardTools(),
  })
  const cluster = await WorkerCluster.start({ runtimeOf: () => runtime })
  await cluster.takeOver('worker-1')
  const session = await cluster.spawn('llm', { description: 'Count to 2', id: 'task-1' })
  await session.event('task_completed')
  await session.execute({ description: 'write a report', id: 'task-2' })
  await session.event('tool_call_result')
  await session.event('task_completed', 1)

  const first = (type: LoggedEvent['type']) =>
    golden(session.events.find((event) => event.type === type) as LoggedEvent)
  expect({
    session_spawned: first('session_spawned'),
    task_executing: first('task_executing'),
    stream_start: first('stream_start'),
    stream_end: first('stream_end'),
    task_completed: first('task_completed'),
    tool_call_start: first('tool_call_start'),
    tool_call_result: first('tool_call_result'),
  }).toMatchInlineSnapshot(`
    {
      "session_spawned": "{"type":"session_spawned","eventId":"1-1","sessionId":"SESSION","timestamp":"TIME","status":"active","metadata":{"createdAt":"TIME"},"session":{"id":"SESSION","orchestratorId":"test","task":{"type":"general","priority":"medium","description":"Count to 2","id":"task-1","status":"pending","createdAt":"TIME","updatedAt":"TIME"},"type":"llm","status":"active","startedAt":"TIME","memoryContext":{"scratchpad":{},"episodic":[],"semantic":[]},"metrics":{"tokensUsed":0,"duration":MS,"tasksCompleted":0,"errorsEncountered":0,"averageResponseTime":0},"cost":0}}",
      "stream_end": "{"type":"stream_end","eventId":"1-4","sessionId":"SESSION","timestamp":"TIME","messageId":"MSG","text":"1 amber 2 birch","toolCalls":[],"finishReason":"stop","metadata":{"totalTokens":25,"duration":MS,"promptTokens":21,"completionTokens":4,"cost":0.00000555}}",
      "stream_start": "{"type":"stream_start","eventId":"1-3","sessionId":"SESSION","timestamp":"TIME","messageId":"MSG","metadata":{"model":"gpt-4o-mini"}}",
      "task_completed": "{"type":"task_completed","eventId":"1-5","sessionId":"SESSION","timestamp":"TIME","commandId":"SESSION","taskId":"task-1","result":{"success":true,"output":"1 amber 2 birch"},"usage":{"promptTokens":21,"completionTokens":4,"cost":0.00000555,"duration":MS}}",
      "task_executing": "{"type":"task_executing","eventId":"1-2","sessionId":"SESSION","timestamp":"TIME","taskId":"task-1","task":{"type":"general","priority":"medium","description":"Count to 2","id":"task-1","status":"pending","createdAt":"TIME","updatedAt":"TIME"},"turn":1}",
      "tool_call_result": "{"type":"tool_call_result","eventId":"1-10","sessionId":"SESSION","timestamp":"TIME","data":{"sessionId":"SESSION","callId":"CALL","toolName":"file_list","status":"completed","result":{"path":".","count":0,"files":[]},"timestamp":"TIME"}}",
      "tool_call_start": "{"type":"tool_call_start","eventId":"1-9","sessionId":"SESSION","timestamp":"TIME","data":{"sessionId":"SESSION","callId":"CALL","toolName":"file_list","toolInput":{"path":".","recursive":true},"effect":"read","timestamp":"TIME","status":"started"}}",
    }
  `)
})
