/**
 * What a caller from outside says, checked.
 */
import { ServiceError } from '../protocol/errors.js'

interface Schema<T> {
  safeParse(
    value: unknown,
  ):
    | { readonly success: true; readonly data: T }
    | { readonly success: false; readonly error: { readonly issues: readonly Issue[] } }
}

interface Issue {
  readonly path: readonly PropertyKey[]
  readonly message: string
}

/** @throws ServiceError `invalid_payload` that names the fields */
export function validated<T>(schema: Schema<T>, input: unknown): T {
  const result = schema.safeParse(input)
  if (result.success) return result.data
  const reason = result.error.issues.map(({ path, message }) => `${path.map(String).join('.')}: ${message}`).join('; ')
  throw new ServiceError('invalid_payload', { reason })
}
