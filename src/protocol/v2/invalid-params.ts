/**
 * What is wrong with the parameters of a request, in a sentence.
 */
import type { z } from 'zod'
import { ServiceError } from '../errors.js'

export function invalidParams({ issues: [issue] }: z.ZodError): ServiceError {
  const reason = issue ? `${['params', ...issue.path].join('.')}: ${issue.message}` : 'unexpected parameters'
  return new ServiceError('invalid_payload', { reason })
}
