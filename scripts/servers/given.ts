/**
 * Servers that the environment names instead of ours: they are used, and never harmed.
 */
import { probePostgres, type RunningPostgres } from '../../src/chaos/servers/postgres-server.js'
import { probeRedis } from '../../src/chaos/servers/redis-admin.js'
import type { RunningRedis } from '../../src/chaos/servers/redis-server.js'

export async function givenRedis(url: string): Promise<RunningRedis> {
  await probeRedis(url)
  const refuse = async (): Promise<never> => {
    throw new Error(`${url} was given by TEST_REDIS_URL and is not ours to kill; ask for a server of your own`)
  }
  const port = Number(new URL(url).port || 6379)
  return { url, port, pid: undefined, kill: refuse, restart: refuse, stop: async () => {} }
}

export async function givenPostgres(url: string): Promise<RunningPostgres> {
  await probePostgres(url)
  const refuse = async (): Promise<never> => {
    throw new Error('the server of TEST_DATABASE_URL is not ours to kill; ask for a server of your own')
  }
  return {
    url,
    port: Number(new URL(url).port || 5432),
    pid: undefined,
    kill: refuse,
    freeze: refuse,
    thaw: refuse,
    restart: refuse,
    stop: async () => {},
  }
}
