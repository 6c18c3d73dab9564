/**
 * A command is brought to a worker once, however often it has to be sent.
 */
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { Acceptance, Submitted } from '../../src/bus/bus.js'
import type { Submission, SubmissionRequest } from '../../src/bus/command.js'
import { type Asker, Submissions } from '../../src/edge/submissions.js'
import { newSessionId } from '../../src/protocol/ids.js'

const SESSION = newSessionId(1)

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval', 'performance'] })
})

afterEach(() => {
  vi.useRealTimers()
})

function fixture(
  answer: () => Promise<Submitted> = async () => ({ status: 'ok' }),
  intactAt = () => performance.now(),
) {
  const sent: Submission[] = []
  const accepted: string[] = []
  const submissions = new Submissions({
    commands: {
      submit: (submission) => {
        sent.push(submission)
        return answer()
      },
    },
    intactAt,
    trace: { debug: vi.fn(), info: vi.fn(), warn: vi.fn(), error: vi.fn() },
    metrics: { submitted: vi.fn(), accepted: vi.fn(), busy: vi.fn(), dropped: vi.fn() },
    onAccepted: ({ commandId }, status) => accepted.push(`${commandId} ${status}`),
  })
  submissions.start('edge@a-1')
  return { submissions, sent, accepted }
}

function client() {
  const frames: Record<string, unknown>[] = []
  const push = (frame: string): void => void frames.push(JSON.parse(frame))
  return { frames, push, pendingCommands: 0 }
}

const command = (more: Partial<SubmissionRequest> = {}): SubmissionRequest => ({
  sessionId: SESSION,
  commandId: 'c',
  type: 'execute',
  tenant: 'acme',
  fresh: false,
  body: '{}',
  ...more,
})

const asker = (of: ReturnType<typeof client>, commandId: string | undefined = 'c'): Asker => ({
  client: of,
  requestId: 'r',
  commandId,
})

const acceptance = (status: Acceptance['status'], detail = ''): Acceptance => ({
  sessionId: SESSION,
  commandId: 'c',
  status,
  detail,
})

test('a command that no stream is known to have is sent again every two seconds with the same id', async () => {
  const { submissions, sent } = fixture(() => Promise.reject(new Error('Connection is closed.')))
  submissions.submit(command({ fresh: true }), asker(client()))

  await vi.advanceTimersByTimeAsync(6_500)

  expect(sent.map(({ commandId, fresh }) => ({ commandId, fresh }))).toEqual([
    { commandId: 'c', fresh: true },
    { commandId: 'c', fresh: false },
    { commandId: 'c', fresh: false },
    { commandId: 'c', fresh: false },
  ])
})

test('a command that waits in its stream is sent again every ten seconds, and at once when the outbox has a new name', async () => {
  const { submissions, sent } = fixture()
  submissions.submit(command(), asker(client()))

  await vi.advanceTimersByTimeAsync(9_500)
  expect(sent).toHaveLength(1)
  await vi.advanceTimersByTimeAsync(1_000)
  expect(sent).toHaveLength(2)
  submissions.reopened('edge@a-2')
  expect(sent).toHaveLength(3)
})

test('a command whose last sending failed is sent again after two seconds, although its stream had an earlier one', async () => {
  let answers = 0
  const { submissions, sent } = fixture(async () => {
    if (++answers === 2) throw new Error('Connection is closed.')
    return { status: 'ok' }
  })
  submissions.submit(command(), asker(client()))
  await vi.advanceTimersByTimeAsync(1_000)
  submissions.reopened('edge@a-2')

  await vi.advanceTimersByTimeAsync(1_500)
  expect(sent).toHaveLength(2)
  await vi.advanceTimersByTimeAsync(1_000)

  expect(sent).toHaveLength(3)
})

test('a store that has not answered yet is not asked once more, and is when it has failed', async () => {
  let fail = (_: Error): void => undefined
  const { submissions, sent } = fixture(() => new Promise((_, reject) => (fail = reject)))
  submissions.submit(command(), asker(client()))

  await vi.advanceTimersByTimeAsync(10_000)
  expect(sent).toHaveLength(1)
  fail(new Error('Connection is closed.'))
  await vi.advanceTimersByTimeAsync(250)

  expect(sent).toHaveLength(2)
})

test('after thirty seconds the client hears that the outcome is unknown, and nothing more is sent', () => {
  const { submissions, sent } = fixture()
  const user = client()
  submissions.submit(command(), asker(user))

  vi.advanceTimersByTime(31_000)
  const count = sent.length
  vi.advanceTimersByTime(10_000)

  expect(user.frames).toMatchObject([{ type: 'error', code: 'outcome_unknown', commandId: 'c', requestId: 'r' }])
  expect(sent).toHaveLength(count)
  expect(user.pendingCommands).toBe(0)
})

test('a command whose session is fetched from the database is sent on and waited for longer', async () => {
  const { submissions, sent } = fixture()
  const user = client()
  submissions.submit(command(), asker(user))

  submissions.settle(acceptance('cold'))
  await vi.advanceTimersByTimeAsync(69_000)
  expect([user.frames, user.pendingCommands]).toEqual([[], 1])
  expect(sent.length).toBeGreaterThan(5)
  vi.advanceTimersByTime(3_000)

  expect(user.frames).toMatchObject([{ type: 'error', code: 'outcome_unknown' }])
})

test.each([
  ['new', '', { type: 'command_accepted', duplicate: false }],
  ['dup', '1-9', { type: 'command_accepted', duplicate: true, result: '1-9' }],
  ['busy', '', { type: 'error', code: 'busy', retryAfterMs: 250 }],
  ['final', 'terminated', { type: 'error', code: 'session_not_running' }],
  ['unknown', '', { type: 'error', code: 'session_not_found' }],
  ['unavailable', '', { type: 'error', code: 'unavailable' }],
] as const)('an acceptance `%s` is told once and ends the sending', (status, detail, frame) => {
  const { submissions, sent } = fixture()
  const user = client()
  submissions.submit(command(), asker(user))

  submissions.settle(acceptance(status, detail))
  submissions.settle(acceptance(status, detail))
  vi.advanceTimersByTime(10_000)

  expect(user.frames).toMatchObject([frame])
  expect(sent).toHaveLength(1)
})

test('a client that gave its command no id hears nothing of the acceptance', () => {
  const { submissions, accepted } = fixture()
  const user = client()
  submissions.submit(command(), { client: user, requestId: undefined, commandId: undefined })

  submissions.settle(acceptance('new'))

  expect(user.frames).toEqual([])
  expect(accepted).toEqual(['c new'])
})

test('a full shard refuses a command at once, but not a spawn, whose row stands', async () => {
  const { submissions, sent } = fixture(async () => ({ status: 'busy', retryAfterMs: 77 }))
  const user = client()

  submissions.submit(command(), asker(user))
  submissions.submit(command({ commandId: 's', type: 'spawn' }), asker(user, 's'))
  await vi.waitFor(() => expect(user.frames).toHaveLength(1))
  vi.advanceTimersByTime(2_500)

  expect(user.frames).toMatchObject([{ code: 'busy', retryAfterMs: 77, commandId: 'c' }])
  expect(sent.filter(({ commandId }) => commandId === 's')).toHaveLength(2)
})

test('a reopened outbox sends again what waits and what was accepted in the last five seconds, under the new name', () => {
  const { submissions, sent } = fixture()
  submissions.submit(command({ commandId: 'old' }), asker(client(), 'old'))
  submissions.settle({ ...acceptance('new'), commandId: 'old' })
  vi.advanceTimersByTime(6_000)
  submissions.submit(command({ commandId: 'recent' }), asker(client(), 'recent'))
  submissions.settle({ ...acceptance('new'), commandId: 'recent' })
  submissions.submit(command({ commandId: 'waiting' }), asker(client(), 'waiting'))
  sent.length = 0

  submissions.reopened('edge@a-2')

  expect(sent.map(({ commandId, outbox }) => `${commandId} ${outbox}`)).toEqual(['recent edge@a-2', 'waiting edge@a-2'])
})

test('while the store is away no acceptance counts as kept, however long ago it came', () => {
  const seenAt = performance.now()
  const { submissions, sent } = fixture(undefined, () => seenAt)
  submissions.submit(command(), asker(client(), 'c'))
  submissions.settle(acceptance('new'))
  vi.advanceTimersByTime(20_000)
  sent.length = 0

  submissions.reopened('edge@a-2')
  expect(sent).toHaveLength(1)
})

test('a recently accepted command that a store does not take is sent again until it does', async () => {
  let answer: () => Promise<Submitted> = async () => ({ status: 'ok' })
  const { submissions, sent } = fixture(() => answer())
  submissions.submit(command(), asker(client(), 'c'))
  submissions.settle(acceptance('new'))
  sent.length = 0
  answer = async () => {
    throw new Error('Connection is closed.')
  }
  submissions.reopened('edge@a-2')
  await Promise.resolve()
  answer = async () => ({ status: 'busy', retryAfterMs: 1 })
  await vi.waitFor(() => {
    vi.advanceTimersByTime(250)
    expect(sent).toHaveLength(2)
  })
  answer = async () => ({ status: 'ok' })
  await vi.waitFor(() => {
    vi.advanceTimersByTime(250)
    expect(sent).toHaveLength(3)
  })
  await new Promise((resolve) => setImmediate(resolve))
  vi.advanceTimersByTime(10_000)

  expect(sent).toHaveLength(3)
  submissions.reopened('edge@a-3')
  expect(sent).toHaveLength(3)
})

test('two connections that ask under one id both get the answer, and the command is sent once', () => {
  const { submissions, sent } = fixture()
  const [first, second] = [client(), client()]
  submissions.submit(command(), asker(first))
  submissions.submit(command(), asker(second))

  submissions.settle(acceptance('new'))

  expect([first.frames.length, second.frames.length, sent.length]).toEqual([1, 1, 1])
})

test('a client with too many unanswered commands is told to wait', () => {
  const { submissions } = fixture()
  const user = client()
  for (let count = 0; count < 1_024; count++) submissions.submit(command({ commandId: `${count}` }), asker(user))

  expect(() => submissions.submit(command({ commandId: 'more' }), asker(user))).toThrow(/try again in 250 ms/)
})

test('the command of a client that has gone still reaches a worker', () => {
  const { submissions, accepted } = fixture()
  const user = client()
  submissions.submit(command(), asker(user))

  submissions.forget(user)
  submissions.settle(acceptance('new'))

  expect(accepted).toEqual(['c new'])
  expect(user).toMatchObject({ frames: [], pendingCommands: 0 })
})
