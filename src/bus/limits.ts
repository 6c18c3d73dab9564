/**
 * Bounds of what may wait; see docs/guarantees.md for what a client sees when one is reached.
 */
export const LIMITS = {
  /** Commands submitted to one shard and not yet accepted: about a second of a shard's peak. */
  shardCommands: 10_000,
  shardBytes: 16 * 1024 * 1024,
  /**
   * Commands that one step accepts, over all shards that are accepted together: about 8 ms of the store, where so many wait.
   * They wait in the inboxes of their sessions rather than in the stream: there each session has its turn, and what waits for
   * one is written together.
   */
  acceptCommands: 512,
  /** Accepted commands of one session. */
  inboxCommands: 1_000,
  inboxBytes: 4 * 1024 * 1024,
  /** Commands of a shard whose sessions are being looked for in Postgres. */
  coldCommands: 1_000,
  coldBytes: 4 * 1024 * 1024,
  /** Remembered command ids of one session: at least this many, for 24 h. */
  seenCommands: 512,
  /** Timers of one shard that are told at once; what is left is told next. */
  dueTimers: 32,
  /** Entries in an edge's out-stream before the oldest are lost and the edge must resume everything. */
  outEntries: 65_536,
  /** What one commit gathers; a single larger entry goes alone. */
  eventsPerCommit: 64,
  charsPerCommit: 256 * 1024,
  /** What a refused client is told to wait. */
  busyRetryMs: 250,
} as const
