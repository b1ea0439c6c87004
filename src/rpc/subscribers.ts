/** Who follows what over gRPC, and how far behind: each stream enters itself and says how it stands when somebody asks. */
import type { DebugTable } from '../contract/debug.js'
import { debugTable } from '../telemetry/debug/table.js'

/** `position`: the last revision or number that it was told; `lag`: what it has not been told yet; `lost`: what it never will; `resyncs`: times that it was told everything anew. */
export interface Standing { readonly position: number | null, readonly lag: number, readonly lost: number, readonly resyncs: number, readonly detail: string }

interface Entry { readonly id: number, readonly stream: string, readonly of: string, readonly caller: string, readonly since: number, readonly standing: () => Standing }

export class Subscribers {
  private readonly entries = new Map<number, Entry>()
  private last = 0

  /** What it returns takes it out. */
  enter (stream: string, of: string, caller: string | null, standing: () => Standing): () => void {
    const id = ++this.last
    this.entries.set(id, { id, stream, of, caller: caller ?? 'local', since: Date.now(), standing })
    return () => { this.entries.delete(id) }
  }

  readonly table: DebugTable = debugTable<Entry & Standing>({
    name: 'subscribers', group: 'surfaces', about: 'Who follows what: where it stands, what it was not told yet, what it lost', source: 'gRPC thread', access: 'operator',
    columns: {
      id: ['id', s => s.id], stream: ['text', s => s.stream], of: ['text', s => s.of], caller: ['text', s => s.caller], revision: ['number', s => s.position], lag: ['number', s => s.lag], lost: ['number', s => s.lost], resyncs: ['number', s => s.resyncs],
      detail: ['text', s => s.detail], since: ['time', s => s.since], age: ['duration', s => Math.max(0, Date.now() - s.since)]
    },
    count: () => this.entries.size,
    read: () => [...this.entries.values()].map(entry => ({ ...entry, ...entry.standing() })),
    tone: ({ lag, lost }) => lost > 0 ? 'bad' : lag > 0 ? 'warn' : ''
  })
}
