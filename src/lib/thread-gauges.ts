/** How a thread does, in memory that others read without asking it: the thread writes there every WRITE_MS, also one that serves nobody. */
import { getHeapStatistics } from 'node:v8'
import { watchLoopDelay } from './loop-delay.js'

/** `loopDelayP99Ms`: since it started. */
export interface ThreadGauges { readonly loopDelayP99Ms: number, readonly heapBytes: number }

const WRITE_MS = 2000

export const gaugeMemory = (): SharedArrayBuffer => new SharedArrayBuffer(2 * Float64Array.BYTES_PER_ELEMENT)

/** Of the thread that calls it; what it returns ends that. */
export function writeGauges (memory: SharedArrayBuffer): () => void {
  const loop = watchLoopDelay()
  const write = (): void => { new Float64Array(memory).set([loop.p99Ms(), heapBytes()]) }
  write()
  const timer = setInterval(write, WRITE_MS)
  timer.unref()
  return () => {
    clearInterval(timer)
    loop.stop()
  }
}

export function readGauges (memory: SharedArrayBuffer): ThreadGauges {
  const [loopDelayP99Ms = 0, bytes = 0] = new Float64Array(memory)
  return { loopDelayP99Ms, heapBytes: bytes }
}

/** JavaScript objects of the thread that calls it. */
export const heapBytes = (): number => getHeapStatistics().used_heap_size
