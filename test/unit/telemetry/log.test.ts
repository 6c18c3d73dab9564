/**
 * What a log line looks like, and what never appears in one.
 */
import { describe, expect, test } from 'vitest'
import { createLog, type LogOptions } from '../../../src/telemetry/log.js'
import { LogLevelSwitch } from '../../../src/telemetry/log-level.js'
import { HiddenWords } from '../../../src/telemetry/redact.js'

function record(options: Partial<LogOptions> = {}, isTTY = false) {
  const lines: string[] = []
  const output = { isTTY, write: (text: string) => lines.push(text) }
  const log = createLog({ level: 'info', format: 'json', name: 'node-1', role: 'worker', output, ...options })
  return { log, lines, json: () => lines.map((line) => JSON.parse(line) as Record<string, unknown>) }
}

describe('a JSON log', () => {
  test('has time, level, name and role in every line, beside fields and sentence', () => {
    const { log, json } = record()

    log.info({ shard: 7 }, 'took a shard')

    expect(json()).toEqual([
      {
        level: 'info',
        time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
        name: 'node-1',
        role: 'worker',
        shard: 7,
        msg: 'took a shard',
      },
    ])
  })

  test('leaves out what is below its level', () => {
    const { log, lines } = record({ level: 'warn' })

    log.debug({}, 'a')
    log.info({}, 'b')
    log.warn({}, 'c')

    expect(lines).toHaveLength(1)
  })

  test('adds the fields of a child to each of its lines', () => {
    const { log, json } = record()

    log.child({ session: 's1' }).info({}, 'spawned')

    expect(json()[0]).toMatchObject({ session: 's1', msg: 'spawned' })
  })

  test('shows an error with its cause', () => {
    const { log, json } = record()

    log.error({ err: new Error('outer', { cause: new TypeError('inner') }) }, 'failed')

    expect(json()[0]?.err).toMatchObject({
      type: 'Error',
      message: 'outer',
      cause: { type: 'TypeError', message: 'inner' },
    })
  })
})

describe('secrets', () => {
  const SECRETS = {
    apiKey: 'plain-1',
    openai_api_key: 'plain-2',
    password: 'plain-3',
    nested: { headers: { authorization: 'plain-4', 'x-api-key': 'plain-5' }, list: [{ jwtSecret: 'plain-6' }] },
  }

  test.each(['json', 'text'] as const)(
    'that are known are hidden wherever they stand, whatever they look like, in %s',
    (format) => {
      const secret = 'no "pattern" knows\\this'
      const { log, lines } = record({ format, secrets: [secret] })

      log.info({ note: [`a ${secret} b`], [secret]: 1, err: new Error(secret) }, `it is ${secret}`)

      expect(lines.join()).not.toMatch(/pattern|knows/)
      expect(lines.join()).toContain('a [redacted] b')
    },
  )

  test('are hidden by the name of their field, at any depth', () => {
    const { log, lines } = record()

    log.info(SECRETS, 'x')
    log.child(SECRETS).info({}, 'x')

    expect(lines.join()).not.toMatch(/plain-\d/)
    expect(lines.join()).toContain('[redacted]')
  })

  test.each([
    'Bearer abc.def-ghi',
    'sk-ant-api03-abcdefgh',
    'vp_0123456789',
    'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl',
    'redis://default:hunter2@redis:6379',
  ])('of the shape %s are hidden in fields, sentences and errors', (value) => {
    const { log, lines } = record()

    log.info({ note: `it was ${value}!` }, `got ${value}`)
    log.error({ err: new Error(`refused ${value}`) }, 'failed')

    const secret = value.replace(/^Bearer |^redis:\/\/default:|@redis:6379$/g, '')
    expect(lines.join()).not.toContain(secret)
  })

  test('are found wherever they were planted, in JSON and in text', () => {
    const planted = ['s3cr3t-one', 's3cr3t-two', 's3cr3t-three', 's3cr3t-four', 's3cr3t-five', 's3cr3t-six', 's3cr3t-7']
    const [one, two, three, four, five, six, seven] = planted
    const cause = new Error(`connect to postgres://u:${one}@db failed`, { cause: new Error(`apiKey=${two}`) })
    const many = new AggregateError([new Error(`token: ${three}`)], 'all failed')
    const fields = {
      err: cause,
      url: new URL(`https://host/path?token=${four}&page=2`),
      body: JSON.stringify({ user: 'u', password: five }),
      request: { headers: new Headers({ authorization: `Basic ${six}` }) },
      map: new Map([['clientSecret', seven]]),
    }
    for (const format of ['json', 'text'] as const) {
      const { log, lines } = record({ format })

      log.error(fields, `Authorization: Basic ${six}`)
      log.error({ err: many }, `GET /ws?apiKey=${two} and postgres://u:p@${one}@db`)
      log.child({ authToken: three }).warn({ deep: { deeper: { note: `"secret": "${five}"` } } }, `cookie: id=${four}`)

      expect(lines.join('')).not.toMatch(/s3cr3t/)
      expect(lines.join('')).toContain('page=2')
    }
  })

  test('are not suspected in counts and plain words', () => {
    const { log, json } = record()

    log.info({ promptTokens: 12, token_count: 3, tokens: 4, key: 'a' }, 'the task-skeleton risk-free')

    expect(json()[0]).toMatchObject({
      promptTokens: 12,
      token_count: 3,
      tokens: 4,
      key: 'a',
      msg: 'the task-skeleton risk-free',
    })
  })

  test('cannot make a line fail by referring to themselves', () => {
    const { log, lines } = record()
    const loop: Record<string, unknown> = { big: 1n }
    loop.self = loop

    log.info(loop, 'x')

    expect(lines).toHaveLength(1)
  })
})

describe('a text log', () => {
  test('reads as one line, without colours when nobody looks', () => {
    const { log, lines } = record({ format: 'text' })

    log.warn({ shard: 7, why: 'two words' }, 'lost a shard')

    expect(lines[0]).toMatch(/^\d\d:\d\d:\d\d\.\d{3} WARN {2}worker lost a shard shard=7 why="two words"\n$/)
  })

  test('lets nobody whose words are logged move the cursor or colour the line', () => {
    const { log, lines } = record({ format: 'text' })

    log.warn({ name2: 'a\u001b[31mb' }, 'said \u001b]0;title\u0007 and\u009b2J')
    log.error({ err: new Error('wrote \u001b[2J') }, 'failed')

    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be there
    expect(lines.join('')).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/)
    expect(lines[0]).toContain('said ]0;title and2J')
  })

  test('shows the stack of an error below its line', () => {
    const { log, lines } = record({ format: 'text' })

    log.error({ err: new Error('broken', { cause: new Error('deeper') }) }, 'failed')

    expect(lines[0]).toMatch(/failed\n {4}Error: broken\n[\s\S]*caused by:\n {4}Error: deeper/)
  })
})

test('words that are secret from some moment on are hidden from then on, and those before stay so', () => {
  const secrets = new HiddenWords(['first-word'])
  const { log, lines } = record({ secrets })
  log.info({}, 'a second-word, and a first-word')
  secrets.add(['second-word', 'second-word-and-more'])
  log.info({}, 'a second-word-and-more, a second-word, and a first-word')

  expect(lines[0]).toContain('a second-word, and a [redacted]')
  expect(lines[1]).toContain('a [redacted], a [redacted], and a [redacted]')
})

describe('the level of a log', () => {
  test('can be turned while it runs, for children too, and goes back', () => {
    const level = new LogLevelSwitch('warn')
    const { log, json } = record({ level })
    const child = log.child({ part: 'p' })

    child.info({}, 'before')
    level.set('debug')
    child.debug({}, 'while')
    level.reset()
    child.info({}, 'after')

    expect(json().map(({ msg }) => msg)).toEqual(['while'])
  })
})
