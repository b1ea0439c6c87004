/**
 * The CLI's way to the agent. The socket is tried first by itself: its errno tells exactly what is wrong and what helps, which a
 * gRPC "unavailable" does not.
 */
import { accessSync, constants, existsSync } from 'node:fs'
import { connect } from 'node:net'
import { delimiter, join } from 'node:path'
import { credentials, type Client } from '@grpc/grpc-js'
import { ObjectsConnection } from '../client/index.js'
import { LockstepError } from '../contract/errors.js'
import { connectAgent, socketTarget, type AgentConnection } from './client.js'
import type { CliIo } from './io.js'
import { load } from './modules.js'

export interface LinkOptions {
  readonly socket?: string
  /** Leave when what was asked for has begun. */
  readonly detach?: boolean
}

const READY_MS = 5000
const SYSTEM_SOCKET = '/run/lockstep/agent.sock'

/** What --socket or LOCKSTEP_SOCKET says; `null`: nothing. */
export function socketGiven (io: CliIo, options: LinkOptions): string | null {
  const told = options.socket ?? io.env.LOCKSTEP_SOCKET ?? ''
  return told === '' ? null : told
}

/** The socket to try: the one given, else where an agent of this user listens unless configured, else the system's. */
export async function socketPathOf (io: CliIo, options: LinkOptions): Promise<string> {
  const given = socketGiven(io, options)
  if (given !== null) return given
  const { hostDefaults } = await load('hostDefaults')
  const { socketPath } = hostDefaults(io.env)
  return existsSync(socketPath) || !existsSync(SYSTEM_SOCKET) ? socketPath : SYSTEM_SOCKET
}

/** It goes on without us. */
export class Detached extends Error {
  constructor (readonly operation: string) { super(`operation ${operation}`) }
}

/** Runs `work` with a connection that is closed afterwards, unless it is the one that a shell keeps; a signal of the process (Ctrl-C) cancels its calls. */
export async function withAgent<T> (io: CliIo, options: LinkOptions, work: (agent: AgentConnection) => Promise<T>): Promise<T> {
  const path = await socketPathOf(io, options)
  await knock(io, path)
  const kept = io.kept?.path === path ? io.kept.channel : undefined
  const left = new AbortController()
  const onOperation = options.detach === true ? (id: string): void => { left.abort(new Detached(id)) } : undefined
  const connection = connectAgent(socketTarget(path), undefined, { signal: AbortSignal.any([io.signal, left.signal]), traceparent: io.env.TRACEPARENT, onOperation, channel: kept })
  try {
    if (kept !== undefined) await ready(connection.agent, path)
    return await work(connection)
  } catch (error) {
    throw left.signal.aborted ? left.signal.reason : error
  } finally {
    connection.close()
  }
}

/** The same for watches of objects, which wait for an agent that is not there. */
export async function withObjects<T> (io: CliIo, options: LinkOptions, work: (objects: ObjectsConnection) => Promise<T>): Promise<T> {
  const path = await socketPathOf(io, options)
  const kept = io.kept?.path === path ? { channelOverride: io.kept.channel } : undefined
  const objects = new ObjectsConnection({ address: socketTarget(path), credentials: credentials.createInsecure(), ...kept === undefined ? {} : { channel: kept } })
  try {
    return await work(objects)
  } finally {
    if (kept === undefined) objects.close()
  }
}

/** An agent that takes connections again is one whose channel may still wait before it tries. */
async function ready (client: Client, path: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    client.waitForReady(Date.now() + READY_MS, (cause) => {
      if (cause === undefined) resolve()
      else reject(new LockstepError('unavailable', 'LS_U_UNREACHABLE', 'the agent takes connections and does not answer', { object: path, found: `nothing for ${READY_MS} ms`, next: 'look at its log' }, cause))
    })
  })
}

async function knock (io: CliIo, path: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const socket = connect(path)
    socket.on('connect', () => { socket.destroy(); resolve() })
    socket.on('error', (error: NodeJS.ErrnoException) => reject(unreachable(io, path, error)))
  })
}

function unreachable (io: CliIo, path: string, error: NodeJS.ErrnoException): LockstepError {
  const start = `is the agent running? start it with \`${selfName(io)} run CONFIG\`, or name its socket with --socket or LOCKSTEP_SOCKET`
  const [what, next] = error.code === 'ENOENT'
    ? ['no agent listens here', start]
    : error.code === 'ECONNREFUSED'
      ? ['the agent that made this socket has gone', start]
      : error.code === 'EACCES' || error.code === 'EPERM'
        ? ['this user may not use the agent', 'run as root, or join the group that owns the socket']
        : ['the socket cannot be used', start]
  return new LockstepError('unavailable', 'LS_U_UNREACHABLE', what, { object: path, found: error.code ?? error.message, next }, error)
}

/** How this program is called here: `npx lockstep` until it is on the PATH (R35). */
export function selfName (io: Pick<CliIo, 'env'>): string {
  for (const directory of (io.env.PATH ?? '').split(delimiter)) {
    if (directory === '' || directory.includes('node_modules')) continue
    try {
      accessSync(join(directory, 'lockstep'), constants.X_OK)
      return 'lockstep'
    } catch { /* not there */ }
  }
  return 'npx lockstep'
}
