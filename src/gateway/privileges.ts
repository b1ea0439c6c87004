/**
 * Gives up root for good (D14). Called after the listeners are open, before the first byte of a stranger is read. What is kept
 * are supplementary groups: those of the agents' sockets, or the gateway could not reach the agents any more.
 */
import { readFileSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { LockstepError } from '../contract/errors.js'

export interface Identity { readonly uid: number, readonly gid: number }

/** Does nothing unless the process is root. Returns what it became. */
export function dropPrivileges (user: string, sockets: readonly string[]): Identity | null {
  const { getuid, setuid, setgid, setgroups } = process
  if (getuid === undefined || setuid === undefined || setgid === undefined || setgroups === undefined || getuid() !== 0) return null
  const identity = lookUp(user)
  if (identity.uid === 0) throw new LockstepError('invalid', 'LS_G_USER', 'the gateway does not run as root', { object: '--user', found: user, expected: 'an unprivileged user' })
  setgroups([...new Set(sockets.flatMap(socketGroup))])
  setgid(identity.gid)
  setuid(identity.uid)
  let regained = true
  try { setuid(0) } catch { regained = false }
  if (regained) throw new LockstepError('bug', 'LS_E_BUG', 'privileges could be taken back after they were dropped', { object: user })
  return identity
}

/** Group of the socket, or of its directory while the agent is not there yet. */
function socketGroup (socketPath: string): number[] {
  for (const path of [socketPath, dirname(socketPath)]) {
    try { return [statSync(path).gid] } catch { /* not there yet */ }
  }
  return []
}

/** A name of /etc/passwd, or `uid:gid`. */
function lookUp (user: string): Identity {
  const numeric = /^(\d+):(\d+)$/.exec(user)
  if (numeric !== null) return { uid: Number(numeric[1]), gid: Number(numeric[2]) }
  const line = readFileSync('/etc/passwd', 'utf8').split('\n').map((l) => l.split(':')).find((f) => f[0] === user)
  if (line === undefined) throw new LockstepError('invalid', 'LS_G_USER', 'no such user', { object: '--user', found: user, expected: 'a name in /etc/passwd, or UID:GID' })
  return { uid: Number(line[2]), gid: Number(line[3]) }
}
