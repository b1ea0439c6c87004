/**
 * A conversation with a daemon over its unix socket: one question after the other, each answer whole. Bounded in time by a signal, in size by a number; a daemon
 * that hangs up in the middle of an answer, says too much or nothing at all is an error, never an answer.
 */
import { createConnection } from 'node:net'
import { LockstepError } from '../../contract/errors.js'

export interface Conversation {
  readonly say: (text: string | Buffer) => void
  /** The next answer. `whole`: is it, going by its end? Nothing of the next one has come then, as nothing was asked. */
  readonly hear: (whole: (end: Buffer) => boolean) => Promise<Buffer>
}

/** Enough for the end of an answer. */
const END = 1024

/** @throws unavailable LS_G_SOCKET: nobody listens, it hung up, it answered too much; the reason of the signal */
export async function converse<T> (path: string, signal: AbortSignal, bytesMax: number, talk: (with_: Conversation) => Promise<T>): Promise<T> {
  signal.throwIfAborted()
  const socket = createConnection({ path })
  let chunks: Buffer[] = []
  let end: Buffer = Buffer.alloc(0)
  let [size, wake] = [0, (): void => undefined]
  let over: unknown = null
  const ends = (why: unknown): void => {
    over ??= why
    wake()
    socket.destroy()
  }
  const problem = (what: string, detail: { found?: string, expected?: string, next?: string } = {}, cause?: unknown): LockstepError => new LockstepError('unavailable', 'LS_G_SOCKET', what, { object: path, ...detail }, cause)
  const onAbort = (): void => { ends(signal.reason) }
  signal.addEventListener('abort', onAbort, { once: true })
  socket.on('error', (error: NodeJS.ErrnoException) => {
    ends(problem(error.code === 'ENOENT' || error.code === 'ECONNREFUSED' ? 'no daemon listens' : 'cannot be reached', { found: error.code ?? error.message }, error))
  })
  socket.on('close', () => { ends(problem('the daemon hung up', { found: `${size} bytes of an answer` })) })
  socket.on('data', (chunk: Buffer) => {
    size += chunk.length
    if (size > bytesMax) return ends(problem('the daemon answers too much', { found: `more than ${bytesMax} bytes` }))
    chunks.push(chunk)
    end = chunk.length >= END ? chunk.subarray(-END) : Buffer.concat([end, chunk]).subarray(-END)
    wake()
  })
  try {
    return await talk({
      say: (text) => { if (over === null) socket.write(text) },
      hear: async (whole) => {
        while (size === 0 || !whole(end)) {
          if (over !== null) throw over as Error
          await new Promise<void>((resolve) => { wake = resolve })
        }
        const answer = Buffer.concat(chunks)
        chunks = []
        size = 0
        end = Buffer.alloc(0)
        return answer
      }
    })
  } finally {
    signal.removeEventListener('abort', onAbort)
    socket.destroy()
  }
}
