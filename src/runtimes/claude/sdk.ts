/**
 * The Claude Agent SDK, which brings Claude Code along. It is an optional peer of this package: 380 MB that only workers
 * with sessions of these types need.
 */
import type * as ClaudeSdk from '@anthropic-ai/claude-agent-sdk'
import { ServiceError } from '../../protocol/errors.js'
import type { SessionType } from '../../protocol/session.js'

export type Sdk = typeof ClaudeSdk
export type LoadSdk = () => Promise<Sdk>

/** The one that this package is tested with; the same as in `peerDependencies`. */
const SDK_VERSION = '0.3.330'
const INSTALL = `npm install @anthropic-ai/claude-agent-sdk@${SDK_VERSION}`

const importSdk: LoadSdk = () => import('@anthropic-ai/claude-agent-sdk')

/** @throws ServiceError `runtime_missing` with the command that installs it. */
export async function loadSdk(type: SessionType, load: LoadSdk = importSdk): Promise<Sdk> {
  try {
    return await load()
  } catch (error) {
    if (!isMissing(error)) throw error
    throw new ServiceError('runtime_missing', { type, reason: `install Claude Code: ${INSTALL}` }, { cause: error })
  }
}

const isMissing = (error: unknown): boolean =>
  error instanceof Error && 'code' in error && error.code === 'ERR_MODULE_NOT_FOUND'

/** Of an installation without the program itself (`--omit=optional`); other failures as they came. */
export function withInstallHint(type: SessionType, error: unknown): unknown {
  if (!(error instanceof Error) || !/native CLI binary/i.test(error.message)) return error
  const reason = `the program of Claude Code is missing; install it without --omit=optional: ${INSTALL}`
  return new ServiceError('runtime_missing', { type, reason }, { cause: error })
}
