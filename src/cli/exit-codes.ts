/** What the process returns; docs/cli.md has the same table. */
import { status } from '@grpc/grpc-js'
import { CommanderError } from 'commander'
import { LockstepError } from '../contract/errors.js'
import { RemoteError } from '../rpc/error-status.js'
import { Interrupted } from './io.js'

export const exitCode = {
  ok: 0,
  /** Refused or failed; of check and verify: there are findings. */
  failed: 1,
  usage: 2,
  unreachable: 3,
  notFound: 4,
  denied: 5,
  timeout: 6,
  bug: 70
} as const

export function exitCodeOf (error: unknown): number {
  if (error instanceof Interrupted) return error.exitCode
  if (error instanceof CommanderError) return error.exitCode === 0 ? exitCode.ok : exitCode.usage
  if (error instanceof RemoteError) {
    switch (error.grpcCode) {
      case status.NOT_FOUND: return exitCode.notFound
      case status.PERMISSION_DENIED:
      case status.UNAUTHENTICATED: return exitCode.denied
      case status.DEADLINE_EXCEEDED: return exitCode.timeout
      case status.UNAVAILABLE: return error.code === 'LS_R_UNAVAILABLE' ? exitCode.unreachable : exitCode.failed
    }
  }
  if (!(error instanceof LockstepError)) return exitCode.bug
  if (error.code === 'LS_U_USAGE') return exitCode.usage
  if (error.code === 'LS_U_UNREACHABLE') return exitCode.unreachable
  if (error.code === 'LS_E_PERMISSION') return exitCode.denied
  return error.errorClass === 'bug' ? exitCode.bug : exitCode.failed
}

export function usageError (what: string, found: string, expected: string): LockstepError {
  return new LockstepError('invalid', 'LS_U_USAGE', what, { found, expected })
}
