/** Where an agent listens unless told otherwise. Agent, gateway and CLI must agree, so this is the only place that says it. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'

type Env = Readonly<Record<string, string | undefined>>

const SYSTEM_SOCKET = '/run/lockstep/agent.sock'

/** The socket that an agent of this user serves: LOCKSTEP_SOCKET, root's in /run, anybody else's in the user's runtime directory. */
export function defaultSocketPath (env: Env = process.env, uid: number = process.getuid?.() ?? 0): string {
  const told = env.LOCKSTEP_SOCKET
  if (told !== undefined && told !== '') return told
  if (uid === 0) return SYSTEM_SOCKET
  const runtime = env.XDG_RUNTIME_DIR
  return runtime !== undefined && runtime !== '' && existsSync(runtime)
    ? join(runtime, 'lockstep', 'agent.sock')
    : `/tmp/lockstep-${uid}/agent.sock`
}

/** The socket a client tries: its user's own agent if that is there, else the system's. */
export function clientSocketPath (env: Env = process.env, uid: number = process.getuid?.() ?? 0): string {
  const own = defaultSocketPath(env, uid)
  const told = env.LOCKSTEP_SOCKET !== undefined && env.LOCKSTEP_SOCKET !== ''
  return told || existsSync(own) || !existsSync(SYSTEM_SOCKET) ? own : SYSTEM_SOCKET
}
