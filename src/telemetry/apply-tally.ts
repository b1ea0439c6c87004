/** How applies of configurations ended, whoever asked for them, and what the phases of those that are in force took. Thread: main. */
import type { ApplyResult } from '../contract/dataplane.js'
import { classOf, type ErrorClass } from '../contract/errors.js'
import type { ApplyTally, GenerationInfo } from '../contract/services.js'

/** Nothing was touched: the text, or the moment, was not right. */
const refusals: ReadonlySet<ErrorClass> = new Set<ErrorClass>(['invalid', 'unsupported', 'stale', 'exhausted'])

export class ApplyCount {
  #tally: ApplyTally = { done: { startup: 0, file: 0, grpc: 0, rollback: 0, peer: 0 }, refused: 0, failed: 0, seconds: { ports: 0, compile: 0, flip: 0, total: 0 } }

  get tally (): ApplyTally { return this.#tally }

  done ({ source }: GenerationInfo, { portsMs, compileMs, flipMs, totalMs }: ApplyResult['durations']): void {
    const { done, seconds } = this.#tally
    this.#tally = {
      ...this.#tally, done: { ...done, [source]: done[source] + 1 },
      seconds: { ports: seconds.ports + portsMs / 1000, compile: seconds.compile + compileMs / 1000, flip: seconds.flip + flipMs / 1000, total: seconds.total + totalMs / 1000 }
    }
  }

  /** An apply; counted when it throws. What is done is told by itself: some of it nobody waits for. */
  async watch<T> (work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      const end = refusals.has(classOf(error)) ? 'refused' : 'failed'
      this.#tally = { ...this.#tally, [end]: this.#tally[end] + 1 }
      throw error
    }
  }
}
