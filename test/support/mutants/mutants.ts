/**
 * Bugs that were seeded into the built program, one each: the fault suite must fail on every one of them, and name a
 * guarantee that is expected, in a run that the program as it is passes. The product knows nothing of them: a loader puts
 * them in while a node starts.
 */
import { fileURLToPath } from 'node:url'
import type { Guarantee } from '../../../src/chaos/checker/findings.js'

export interface Patch {
  /** Below `dist`. */
  readonly file: string
  /** Stands there exactly once. */
  readonly find: string
  readonly replace: string
}

/** A run of `chaos verify`. */
export interface FaultRun {
  readonly faults: string
  readonly minutes: number
  readonly seed: number
}

/** Shared, so that the program as it is has to pass few of them. Each is long enough for its rarest bug. */
export const RUNS = {
  slowReaders: { faults: 'T9', minutes: 0.4, seed: 7 },
  workerKills: { faults: 'T1', minutes: 1, seed: 7 },
  redisFailovers: { faults: 'T6', minutes: 0.6, seed: 7 },
  operations: { faults: 'T13', minutes: 0.4, seed: 7 },
} as const satisfies Record<string, FaultRun>

export interface Mutant {
  readonly name: string
  /** What is wrong with it, in words. */
  readonly bug: string
  /** Where the bug takes effect. */
  readonly role: 'edge' | 'worker'
  /** A run in which the bug is felt. */
  readonly run: FaultRun
  /** A verdict must break one of these. */
  readonly expected: readonly Guarantee[]
  readonly patches: readonly Patch[]
}

const LOADER = new URL('./loader.mjs', import.meta.url).href

/** The environment of a node that is to run with this bug. */
export function mutantEnv({ patches }: Pick<Mutant, 'patches'>): Record<string, string> {
  return { NODE_OPTIONS: `--import=${LOADER}`, MUTANT_PATCHES: JSON.stringify(patches) }
}

const SCRIPTS = 'bus/lua'
const FENCED = `(stored > epoch and 'fenced ' or 'rollback ') .. stored`

export const MUTANTS = {
  droppedEvent: {
    name: 'an edge drops an event',
    bug: 'every twentieth event is taken for sent and is not sent',
    role: 'edge',
    run: RUNS.slowReaders,
    expected: ['G4'],
    patches: [
      {
        file: 'edge/subscription.js',
        find: 'this.receiver.push(event.body);',
        replace: 'if (event.seq % 20 !== 0) this.receiver.push(event.body);',
      },
    ],
  },
  lostEntry: {
    name: 'a commit leaves an event out of the log',
    bug: 'every twentieth event is numbered and shown, and not stored',
    role: 'worker',
    run: RUNS.slowReaders,
    expected: ['G3'],
    patches: [
      {
        file: `${SCRIPTS}/commit.lua`,
        find: `call('XADD', session .. ':log', eventEpoch .. '-' .. seq, 'd', ARGV[i])`,
        replace: `if seq % 20 ~= 0 then call('XADD', session .. ':log', eventEpoch .. '-' .. seq, 'd', ARGV[i]) end`,
      },
    ],
  },
  doubledTool: {
    name: 'a once tool runs twice',
    bug: 'every call of its class is made once more',
    role: 'worker',
    run: RUNS.slowReaders,
    expected: ['G8'],
    patches: [
      {
        file: 'runtimes/tool-round.js',
        find: 'const outcome = await (turn.trace',
        replace: `if (tools.effectOf(call.name, call.input) === 'once') await tools.run(requestOf(call), context);
    const outcome = await (turn.trace`,
      },
    ],
  },
  repeatedTool: {
    name: 'a once tool is run again by the next owner',
    bug: 'a started call is repeated whatever its class',
    role: 'worker',
    run: RUNS.workerKills,
    expected: ['G8'],
    patches: [
      {
        file: 'runtimes/tool-round.js',
        find: 'call.started && !isKnown && !mayAsk',
        replace: 'false',
      },
    ],
  },
  fencedByDifference: {
    name: 'a fence that compares with ~=',
    bug: 'whoever finds that a failover took back what it knows is told that it is fenced, and steps down',
    role: 'worker',
    // Of epoch, head and cursor each: a failover seldom takes an epoch back, and where one check lets pass, the next refuses.
    run: RUNS.redisFailovers,
    expected: ['G5', 'G2'],
    patches: [
      {
        file: `${SCRIPTS}/commit.lua`,
        find: `if not s[11] and stored ~= epoch then return ${FENCED} end`,
        replace: `if not s[11] and stored ~= epoch then return 'fenced ' .. stored end`,
      },
      {
        file: `${SCRIPTS}/commit.lua`,
        find: `if seq ~= tonumber(expected) or tonumber(s[5] or '0') > epoch then return 'head ' .. seq end`,
        replace: `if seq ~= tonumber(expected) or tonumber(s[5] or '0') > epoch then return 'fenced ' .. stored end`,
      },
      {
        file: `${SCRIPTS}/flush.lua`,
        find: `if not s[4] and stored ~= epoch then return ${FENCED} end`,
        replace: `if not s[4] and stored ~= epoch then return 'fenced ' .. stored end`,
      },
      {
        file: `${SCRIPTS}/accept.lua`,
        find: `local refused = stored > epoch and 'fenced ' or (stored < epoch or isBehind(from, known)) and 'rollback '`,
        replace: `local refused = (stored ~= epoch or isBehind(from, known)) and 'fenced '`,
      },
    ],
  },
  consumerGroup: {
    name: 'an XREADGROUP reader',
    bug: 'what a reader was handed counts as accepted, and stays in its pending list when it dies',
    role: 'worker',
    run: RUNS.workerKills,
    expected: ['G1'],
    patches: [
      {
        file: `${SCRIPTS}/accept.lua`,
        find: `local entries = call('XRANGE', shard .. ':in', '(' .. from, '+', 'COUNT', most)`,
        replace: `pcall(call, 'XGROUP', 'CREATE', shard .. ':in', 'workers', '0', 'MKSTREAM')
  local owner = call('HGET', shard, 'owner') or 'nobody'
  local read = call('XREADGROUP', 'GROUP', 'workers', owner, 'COUNT', most, 'STREAMS', shard .. ':in', '>')
  local entries = read and read[1] and read[1][2] or {}`,
      },
      {
        file: `${SCRIPTS}/accept.lua`,
        find: `local patch = { 'waiting', bytes, list, waits + 1, 'accepted', accepted }`,
        replace: `local patch = { 'accepted', accepted }`,
      },
      { file: `${SCRIPTS}/accept.lua`, find: `call('RPUSH', session .. ':' .. list, body)`, replace: '' },
      {
        file: `${SCRIPTS}/commit.lua`,
        find: 'local takeInbox, takeControl = tonumber(pops), tonumber(controlPops)',
        replace: 'local takeInbox, takeControl = 0, 0',
      },
    ],
  },
  pinForEver: {
    name: 'a pin that nobody frees',
    bug: 'the end of a pin is answered and not written',
    role: 'worker',
    run: RUNS.operations,
    expected: ['G1'],
    patches: [
      { file: `${SCRIPTS}/unpin.lua`, find: `redis.call('HDEL', session, 'pin')`, replace: '' },
      { file: `${SCRIPTS}/unpin.lua`, find: `redis.call('HDEL', KEYS[1] .. ':pins', ARGV[i])`, replace: '' },
    ],
  },
  oldCursor: {
    name: 'an edge that keeps its old cursor',
    bug: 'an out-stream that lost entries is read on as if it had not',
    role: 'edge',
    // Felt by clients that came while the writes were lost: the store forgot that this edge shows them a session.
    run: RUNS.redisFailovers,
    expected: ['G4'],
    patches: [
      {
        file: 'bus/edge-stream.js',
        find: '    #reopen() {\n',
        replace: '    #reopen() {\n        return;\n',
      },
    ],
  },
} as const satisfies Record<string, Mutant>

export type MutantName = keyof typeof MUTANTS

/** The built program. */
export const DIST = fileURLToPath(new URL('../../../dist/', import.meta.url))
