/**
 * A Lua script kept in its own file, run by its SHA-1. Loading is left to the first use: a server that restarted or
 * took over answers NOSCRIPT, and then the source is sent once.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { RedisClient } from './connect.js'

export type ScriptReply = readonly unknown[]
export type Argument = string | number

export class Script {
  readonly #source: string
  readonly #sha: string

  /** Reads the file at once; a missing one is a broken installation and throws. */
  constructor(file: URL) {
    this.#source = readFileSync(file, 'utf8')
    this.#sha = createHash('sha1').update(this.#source).digest('hex')
  }

  /** Runs with one declared key, whose hash tag covers all keys that the script derives. */
  async run(client: RedisClient, key: string, ...args: readonly Argument[]): Promise<ScriptReply> {
    try {
      return (await client.evalsha(this.#sha, 1, key, ...args)) as ScriptReply
    } catch (error) {
      if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error
      return (await client.eval(this.#source, 1, key, ...args)) as ScriptReply
    }
  }
}
