/** Errors of the addon (code `LS_E_...`, errno) as LockstepErrors. */
import { LockstepError, type ErrorClass, type ErrorDetail } from '../contract/errors.js'
import { status } from '../generated/codes.js'
import { causeOf } from '../lib/cause-of.js'

const classes = new Map(status.map(s => [`LS_${s.name.toUpperCase()}`, s.class as ErrorClass | 'none']))

export function fromNative (error: unknown, detail: ErrorDetail = {}): LockstepError {
  if (error instanceof LockstepError) return error
  const code = (error as { code?: unknown }).code
  const message = causeOf(error)
  const found = typeof code === 'string' ? classes.get(code) : undefined
  if (typeof code === 'string' && found !== undefined && found !== 'none') return new LockstepError(found, code, message, detail, error)
  // the addon's word for an argument of the wrong type or size
  return error instanceof TypeError ? new LockstepError('invalid', 'LS_E_INVALID', message, detail, error) : new LockstepError('bug', 'LS_E_BUG', message, detail, error)
}

/** Runs a synchronous native call. */
export function native<T> (run: () => T, detail: ErrorDetail = {}): T {
  try {
    return run()
  } catch (error) {
    throw fromNative(error, detail)
  }
}
