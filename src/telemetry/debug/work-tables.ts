/** Debug tables of what the agent does: work under way, what came of it, and back-offs, of those who keep a WorkBook. */
import type { DebugTable } from '../../contract/debug.js'
import type { Ended, Waiting, WorkBook, Working } from '../../lib/work.js'
import { debugTable } from './table.js'

/** What waits and is known elsewhere: a generation to be confirmed, the edge of a schedule, a peer to be dialled. Without `attempts` nothing has failed. */
export type Pending = Omit<Waiting, 'attempts'> & { readonly attempts?: number }

/** Shown for so long after its end. */
const EXPIRED_MS = 60_000

export function workTables (book: WorkBook, pending: () => Promise<readonly Pending[]>, source: string): readonly DebugTable[] {
  return [
    debugTable<Working>({
      name: 'work', group: 'work', about: 'What is under way', source,
      columns: { id: ['id', w => w.id], process: ['text', w => w.process], object: ['text', w => w.object], since: ['time', w => w.since], for: ['duration', w => Math.max(0, Date.now() - w.since)] },
      read: () => book.underWay
    }),
    debugTable<Ended>({
      name: 'work-history', group: 'work', about: 'Work that ended, newest first', source,
      columns: { id: ['id', w => w.id], began: ['time', w => w.since], process: ['text', w => w.process], object: ['text', w => w.object], outcome: ['text', w => w.outcome], took: ['duration', w => w.tookMs], cause: ['text', w => w.cause] },
      read: () => book.history, tone: ({ outcome }) => outcome === 'finished' ? 'good' : 'bad'
    }),
    debugTable<Pending>({
      name: 'back-offs', group: 'work', about: 'Who waits until when before going on, and why; what is past is dim', source,
      columns: {
        process: ['text', w => w.object === '' ? w.process : `${w.process}: ${w.object}`], until: ['time', w => w.until], left: ['duration', w => Math.max(0, w.until - Date.now())], cause: ['text', w => w.cause], attempts: ['number', w => w.attempts ?? null], since: ['time', w => w.since]
      },
      read: async () => [...book.waiting, ...await pending()].filter(({ until }) => until > Date.now() - EXPIRED_MS).sort((a, b) => a.until - b.until), tone: ({ until, attempts }) => until < Date.now() ? 'dim' : attempts === undefined ? '' : 'warn'
    })
  ]
}
