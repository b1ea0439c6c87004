/** Calls under way, as a debug table: entered where all calls pass. */
import { ServerInterceptingCall, type ServerInterceptor } from '@grpc/grpc-js'
import type { DebugTable } from '../contract/debug.js'
import { debugTable } from '../telemetry/debug/table.js'

interface Call { readonly id: number, readonly method: string, readonly since: number, caller: string, received: number, sent: number }

export class Calls {
  private readonly entries = new Map<number, Call>()
  private last = 0

  readonly interceptor: ServerInterceptor = ({ path }, call) => {
    const entry: Call = { id: ++this.last, method: path.slice(path.lastIndexOf('.') + 1), since: Date.now(), caller: '', received: 0, sent: 0 }
    this.entries.set(entry.id, entry)
    return new ServerInterceptingCall(call, {
      start: (next) => {
        next({
          onReceiveMetadata: (metadata, pass) => {
            const [name] = metadata.get('lockstep-caller')
            entry.caller = typeof name === 'string' && name !== '' ? name.slice(0, 256) : 'local'
            pass(metadata)
          },
          onReceiveMessage: (message, pass) => {
            entry.received++
            pass(message)
          },
          onCancel: () => { this.entries.delete(entry.id) }
        })
      },
      sendMessage: (message, next) => {
        entry.sent++
        next(message)
      },
      sendStatus: (result, next) => {
        this.entries.delete(entry.id)
        next(result)
      }
    })
  }

  readonly table: DebugTable = debugTable<Call>({
    name: 'calls', group: 'surfaces', about: 'A gRPC call under way', source: 'gRPC thread', access: 'operator',
    columns: { id: ['id', c => c.id], method: ['text', c => c.method], caller: ['text', c => c.caller], since: ['time', c => c.since], for: ['duration', c => Math.max(0, Date.now() - c.since)], received: ['number', c => c.received], sent: ['number', c => c.sent] },
    count: () => this.entries.size,
    read: () => [...this.entries.values()]
  })
}
