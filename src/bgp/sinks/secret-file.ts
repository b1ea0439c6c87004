/** A file with something secret: read only when nobody but its owner can, and never part of a message. */
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { SinkError } from './sink.js'
import { causeOf } from '../../lib/cause-of.js'

/** @throws SinkError that names the file and what to do, never what is in it. */
export async function readSecret (path: string, bytesMax: number): Promise<Buffer> {
  let file
  try {
    // without O_NONBLOCK a FIFO would hold one of the few threads that serve files, for ever
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const stat = await file.stat()
    const { mode, uid } = stat
    if (!stat.isFile()) throw new SinkError('permanent', `${path}: not a plain file; name one that holds the key`)
    if ((mode & 0o077) !== 0) throw new SinkError('permanent', `${path}: others may read or write it (mode ${(mode & 0o777).toString(8)}); chmod 600 it`)
    const own = process.getuid?.()
    if (own !== undefined && uid !== own && uid !== 0) throw new SinkError('permanent', `${path}: it is owned by uid ${uid}, expected ${own} or root`)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(bytesMax + 1), 0, bytesMax + 1, 0)
    if (bytesRead > bytesMax) throw new SinkError('permanent', `${path}: more than ${bytesMax} bytes; expected a key alone`)
    return buffer.subarray(0, bytesRead)
  } catch (error) {
    if (error instanceof SinkError) throw error
    throw new SinkError('permanent', `${path}: cannot be read: ${causeOf(error)}`)
  } finally {
    await file?.close()
  }
}
