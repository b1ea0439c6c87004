/**
 * What is under way, what came of it, and who waits before trying again: told by those who work, read by people. Bounded: what ended is kept up to a number, what is
 * under way and who waits are as many as do so.
 */
import { causeOf } from './cause-of.js'

export interface Working { readonly id: number, readonly process: string, readonly object: string, /** Unix ms. */ readonly since: number }
export interface Ended extends Working { readonly tookMs: number, readonly outcome: 'finished' | 'failed' | 'canceled', /** '' when it finished. */ readonly cause: string }
export interface Waiting { readonly process: string, readonly object: string, readonly since: number, readonly until: number, readonly cause: string, /** In a row. */ readonly attempts: number }

const ENDED_MAX = 200
const CAUSE_MAX = 1000

export class WorkBook {
  private readonly working = new Map<number, Working>()
  private ended: Ended[] = []
  private readonly waits = new Map<string, Waiting>()
  private last = 0

  constructor (private readonly nowMs: () => number = Date.now) {}

  /** `keep` false: only while it is under way. */
  async run<T> (process: string, object: string, work: () => Promise<T> | T, keep = true): Promise<T> {
    const one: Working = { id: ++this.last, process, object, since: this.nowMs() }
    const began = performance.now()
    this.working.set(one.id, one)
    const end = (outcome: Ended['outcome'], cause: string): void => {
      this.working.delete(one.id)
      if (!keep) return
      this.ended.push({ ...one, tookMs: performance.now() - began, outcome, cause: cause.slice(0, CAUSE_MAX) })
      if (this.ended.length > ENDED_MAX) this.ended.shift()
    }
    try {
      const result = await work()
      end('finished', '')
      return result
    } catch (error) {
      end(isCancel(error) ? 'canceled' : 'failed', causeOf(error))
      throw error
    }
  }

  /** It tries again in `ms`. The same name again: once more in a row. */
  wait (process: string, object: string, ms: number, cause: unknown): void {
    const key = `${process}\n${object}`
    const since = this.nowMs()
    this.waits.set(key, { process, object, since, until: since + ms, cause: causeOf(cause).slice(0, CAUSE_MAX), attempts: (this.waits.get(key)?.attempts ?? 0) + 1 })
  }

  /** It works again, or nobody wants it any more. */
  settled (process: string, object: string): void { this.waits.delete(`${process}\n${object}`) }

  get underWay (): readonly Working[] { return [...this.working.values()] }
  /** Newest first. */
  get history (): readonly Ended[] { return [...this.ended].reverse() }
  get waiting (): readonly Waiting[] { return [...this.waits.values()] }
}

const isCancel = (error: unknown): boolean => error instanceof Error && (error.name === 'AbortError' || (error as { code?: unknown }).code === 'LS_E_CANCELLED')
