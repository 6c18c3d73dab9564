/**
 * A Neolith of its own for each test, and clients for it that do not wait long.
 */
import { onTestFinished } from 'vitest'
import { NeolithApiClient, type NeolithApiConfig, type NeolithClientParts } from '../../../src/neolith/api-client.js'
import type { CallOutcome } from '../../../src/neolith/transport.js'
import { API_KEY, API_SECRET, FakeNeolith } from '../../support/fake-neolith.js'

/** Slow answers come later than this. */
export const TIMEOUT_MS = 2_000
export const SLOW = { kind: 'slow', ms: 2 * TIMEOUT_MS } as const

export async function startNeolith(): Promise<FakeNeolith> {
  const neolith = await FakeNeolith.start()
  onTestFinished(() => neolith.stop())
  return neolith
}

export function clientOf(
  neolith: FakeNeolith,
  config: Partial<NeolithApiConfig> = {},
  parts: NeolithClientParts = {},
): NeolithApiClient {
  const quick = { retryDelay: 10, timeoutMs: TIMEOUT_MS }
  return new NeolithApiClient(
    { baseUrl: neolith.url, apiKey: API_KEY, apiSecret: API_SECRET, ...quick, ...config },
    parts,
  )
}

/** A client that has signed in, and what became of each of its requests since. */
export async function signedIn(neolith: FakeNeolith, config: Partial<NeolithApiConfig> = {}) {
  const outcomes: CallOutcome[] = []
  const client = clientOf(neolith, config, { observe: (_call, outcome) => outcomes.push(outcome) })
  await client.authenticate(['*'])
  outcomes.length = 0
  return { client, outcomes }
}
