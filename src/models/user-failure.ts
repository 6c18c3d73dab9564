/**
 * What a client sees of a vendor's failure (row W-68 of docs/compatibility.md).
 */
import { type ErrorCode, ServiceError } from '../protocol/errors.js'
import type { Model, ModelError, ModelErrorKind } from './model.js'

/** The sentence and code for the client. */
export function userFailure(error: ModelError, provider: Model['provider']): ServiceError {
  const details = { reason: error.message, provider: provider === 'openai' ? 'OpenAI' : 'Anthropic' }
  return new ServiceError(CODE_OF_KIND[error.kind], details, { cause: error })
}

const CODE_OF_KIND: Readonly<Record<ModelErrorKind, ErrorCode>> = {
  auth: 'model_auth',
  rate_limit: 'model_rate_limit',
  quota: 'model_quota',
  invalid_request: 'model_invalid_request',
  network: 'model_network',
  server: 'model_network',
  cut: 'model_network',
}
