/** GoBGP's API over gRPC, as its readers and announcers use it. */
import { credentials, type ClientReadableStream, type ClientUnaryCall, type ServiceError } from '@grpc/grpc-js'
import { LockstepError } from '../contract/errors.js'
import { GobgpApiClient } from '../generated/proto/apipb/gobgp.js'

/** One message is one peer, or one route. */
const MESSAGE_BYTES_MAX = 1 << 20

/** With a connection of its own: who closes it closes nobody else's. */
export const gobgpClient = (address: string): GobgpApiClient => new GobgpApiClient(address, credentials.createInsecure(), { 'grpc.max_receive_message_length': MESSAGE_BYTES_MAX, 'grpc.use_local_subchannel_pool': 1 })

const silent = (address: string, error: Error & { readonly details?: string }): LockstepError => new LockstepError('unavailable', 'LS_G_SOCKET', 'gobgpd does not answer', { object: address, found: error.details ?? error.message }, error)

/** One answer. @throws unavailable LS_G_SOCKET; the reason of the signal */
export async function asked<T> (address: string, signal: AbortSignal, call: (done: (error: ServiceError | null, answer: T) => void) => ClientUnaryCall): Promise<T> {
  return await new Promise<T>((resolve, reject) => {
    if (signal.aborted) { reject(signal.reason as Error); return }
    const under = call((error, answer) => {
      signal.removeEventListener('abort', onAbort)
      if (error === null) resolve(answer)
      else reject(signal.aborted ? signal.reason as Error : silent(address, error))
    })
    const onAbort = (): void => { under.cancel() }
    signal.addEventListener('abort', onAbort, { once: true })
  })
}

/** Until the stream ends well. @throws unavailable LS_G_SOCKET; the reason of the signal; what `on` throws */
export async function answered<T> (address: string, stream: ClientReadableStream<T>, signal: AbortSignal, on: (message: T) => void): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const end = (error: unknown): void => {
      signal.removeEventListener('abort', onAbort)
      stream.on('error', () => undefined)
      stream.cancel()
      if (error === null) resolve()
      else reject(error as Error)
    }
    const onAbort = (): void => { end(signal.reason) }
    if (signal.aborted) return onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    stream.on('data', (message: T) => {
      try {
        on(message)
      } catch (error) {
        end(error)
      }
    })
    stream.once('error', (error: Error & { readonly details?: string }) => { end(silent(address, error)) })
    stream.once('end', () => { end(null) })
  })
}
