/** Debug tables of the process: memory of a thread, and the threads with what waits for them. */
import { getHeapStatistics } from 'node:v8'
import type { DebugTable } from '../../contract/debug.js'
import { debugTable } from './table.js'

interface Part { readonly part: string, readonly bytes: number }

/** `whole`: of the process, too. */
export function memoryTable (name: string, thread: string, whole: boolean): DebugTable {
  return debugTable<Part>({
    name, group: 'process', about: `Memory of the ${thread}${whole ? ' and the process' : ''}`, source: thread,
    columns: { part: ['text', p => p.part], bytes: ['bytes', p => p.bytes] },
    read: () => {
      const { total_heap_size: heap, used_heap_size: used, heap_size_limit: most, external_memory: external } = getHeapStatistics()
      const { rss, arrayBuffers } = process.memoryUsage()
      return [...whole ? [{ part: 'resident', bytes: rss }] : [], { part: 'heap', bytes: heap }, { part: 'heap-used', bytes: used }, { part: 'heap-limit', bytes: most }, { part: 'external', bytes: external }, { part: 'array-buffers', bytes: arrayBuffers }]
    }
  })
}

/** A thread of the agent and the channel to it. */
export interface ThreadRow {
  readonly name: string
  readonly state: 'running' | 'starting again' | 'idle' | 'gone'
  /** Unix ms. */
  readonly since: number | null
  /** Part of the latest seconds that its event loop had work, 0 to 1. */
  readonly busy: number | null
  readonly restarts: number
  /** Messages or calls between it and the main thread that are under way, and how many may be. */
  readonly underWay: number
  readonly most: number | null
  readonly detail: string
}

export const threadTable = (threads: () => readonly ThreadRow[]): DebugTable => debugTable<ThreadRow>({
  name: 'threads', group: 'process', about: 'A thread of the agent that runs JavaScript, and the channel between it and the main thread', source: 'main thread',
  columns: {
    name: ['text', r => r.name], state: ['text', r => r.state], since: ['time', r => r.since], 'busy-pct': ['number', r => r.busy === null ? null : Math.round(r.busy * 1000) / 10], restarts: ['number', r => r.restarts], 'under-way': ['number', r => r.underWay], most: ['number', r => r.most], detail: ['text', r => r.detail]
  },
  read: threads, tone: ({ state }) => state === 'running' ? 'good' : state === 'idle' ? 'dim' : 'bad'
})
