/**
 * The agent's unix socket: one live agent a path, nobody else's file removed, never visible with wrong permissions.
 *
 * A socket is bound in a private directory beside its final path, given its mode there, then renamed into place:
 * a client sees either the old socket or the ready one. What stands at the path before is asked first: if it answers, the
 * claim is refused; a socket that refuses connections was left by a killed agent and is replaced; anything else is kept.
 */
import { chmodSync, lstatSync, mkdirSync, mkdtempSync, renameSync, rmSync, unlinkSync } from 'node:fs'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import { LockstepError } from '../contract/errors.js'

/** Bytes of sun_path without the closing zero. */
const PATH_BYTES_MAX = 107
/** Bytes of `/.lsXXXXXX/s`. */
const ROOM_BYTES = 12

export interface SocketClaim {
  /** Bind here. */
  readonly bindPath: string
  /** Call once it listens: mode, rename to the final path. */
  readonly publish: () => void
  /** Removes the socket if it is still ours. */
  readonly release: () => void
}

/** @throws unavailable LS_R_AGENT_RUNNING when a live process serves the path; `describe` adds who it is. */
export async function claimSocket (path: string, describe: (path: string) => Promise<string>): Promise<SocketClaim> {
  const bytes = Math.max(Buffer.byteLength(path), Buffer.byteLength(dirname(path)) + ROOM_BYTES)
  if (bytes > PATH_BYTES_MAX) {
    throw new LockstepError('invalid', 'LS_R_SOCKET_PATH', 'the path is too long for a unix socket', { object: path, found: `${bytes} bytes, room to bind included`, expected: `at most ${PATH_BYTES_MAX}`, next: 'choose a shorter one with --socket' })
  }
  prepareDirectory(dirname(path))
  if (await occupied(path)) {
    throw new LockstepError('unavailable', 'LS_R_AGENT_RUNNING', 'another agent serves this socket', { object: path, found: await describe(path), next: 'stop it with `lockstep stop`, or give this one another --socket' })
  }
  const room = mkdtempSync(join(dirname(path), '.ls'))
  const bindPath = join(room, 's')
  let ours: number | null = null
  return {
    bindPath,
    publish: () => {
      chmodSync(bindPath, 0o660)
      renameSync(bindPath, path)
      ours = lstatSync(path).ino
      rmSync(room, { recursive: true, force: true })
    },
    release: () => {
      rmSync(room, { recursive: true, force: true })
      try {
        if (ours !== null && lstatSync(path).ino === ours) unlinkSync(path)
      } catch { /* gone already */ }
      ours = null
    }
  }
}

/** Creates it for us alone and our group; one in /tmp must be ours, or somebody could answer in the agent's place. */
function prepareDirectory (directory: string): void {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o750 })
  } catch (cause) {
    throw new LockstepError('unavailable', 'LS_E_PERMISSION', 'the directory of the socket cannot be made', { object: directory, next: 'run as root, or choose a writable place with --socket' }, cause)
  }
  const stat = lstatSync(directory)
  const uid = process.getuid?.() ?? 0
  const open = (stat.mode & 0o002) !== 0 && (stat.mode & 0o1000) === 0
  const foreign = stat.isSymbolicLink() || (stat.uid !== uid && stat.uid !== 0)
  if ((directory.startsWith('/tmp/') && foreign) || open) {
    throw new LockstepError('unavailable', 'LS_E_PERMISSION', 'the directory of the socket is not safe', { object: directory, found: `owner ${stat.uid}, mode ${(stat.mode & 0o7777).toString(8)}`, expected: `owner ${uid}, not writable for others`, next: 'choose another with --socket' })
  }
}

async function occupied (path: string): Promise<boolean> {
  try {
    if (!lstatSync(path).isSocket()) {
      throw new LockstepError('invalid', 'LS_R_SOCKET_PATH', 'something that is not a socket is in the way', { object: path, next: 'remove it, or choose another path with --socket' })
    }
  } catch (error) {
    if (error instanceof LockstepError) throw error
    return false
  }
  return await new Promise<boolean>((resolve, reject) => {
    const socket = connect(path)
    socket.on('connect', () => { socket.destroy(); resolve(true) })
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') resolve(false)
      else reject(new LockstepError('unavailable', 'LS_R_AGENT_RUNNING', 'the socket cannot be asked whether an agent lives', { object: path, found: error.code ?? error.message, next: 'check who owns it, or choose another --socket' }, error))
    })
  })
}
