/** Lines of another's log, of which there may be any number: so many a second are passed on, the rest is counted and told. Pure but for the clock. */
import type { LogLine } from './child.js'

export const LINES_A_SECOND = 50

export interface LimitedLog {
  readonly line: LogLine
  /** There will be no more. */
  readonly end: () => void
}

export function limitedLog (log: LogLine, nowMs: () => number, most = LINES_A_SECOND): LimitedLog {
  let [since, passed, left] = [-Infinity, 0, 0]
  const tell = (): void => { if (left > 0) log('warn', `${left} more lines of DPDK are left out: more than ${most} came in a second`) }
  return {
    line: (level, text) => {
      const now = nowMs()
      if (now - since >= 1000) {
        tell()
        ;[since, passed, left] = [now, 0, 0]
      }
      if (passed < most) {
        passed++
        log(level, text)
      } else left++
    },
    end: tell
  }
}
