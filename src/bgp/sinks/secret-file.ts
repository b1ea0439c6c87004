/** A file with something secret: read only when nobody but its owner can, and never part of a message. */
import { open } from 'node:fs/promises'
import { causeOf } from '../../lib/work.js'
import { SinkError } from './sink.js'

/** @throws SinkError that names the file and what to do, never what is in it. */
export async function readSecret (path: string, bytesMax: number): Promise<Buffer> {
  let file
  try {
    file = await open(path, 'r')
    const { mode, uid, size } = await file.stat()
    if ((mode & 0o077) !== 0) throw new SinkError('permanent', `${path}: others may read or write it (mode ${(mode & 0o777).toString(8)}); chmod 600 it`)
    const own = process.getuid?.()
    if (own !== undefined && uid !== own && uid !== 0) throw new SinkError('permanent', `${path}: it is owned by uid ${uid}, expected ${own} or root`)
    if (size > bytesMax) throw new SinkError('permanent', `${path}: ${size} bytes, expected at most ${bytesMax}`)
    return await file.readFile()
  } catch (error) {
    if (error instanceof SinkError) throw error
    throw new SinkError('permanent', `${path}: cannot be read: ${causeOf(error)}`)
  } finally {
    await file?.close()
  }
}
