/** What a process of clients tells of all that it has: counts since it began. */
export interface ClientReport {
  readonly clients: number
  /** That are connected and have been told what is there. */
  readonly whole: number
  /** Messages with an id, or changes of sessions. */
  readonly told: number
  /** That the other side says it did not tell. */
  readonly lost: number
  /** Ids that are missing without a word about it. */
  readonly gaps: number
  /** Told everything anew, after the first time. */
  readonly resyncs: number
  /** Connections or streams that ended before they were asked to. */
  readonly broken: number
  /** Of Sessions.Watch: told and lost, of each watcher that has been there all the time. */
  readonly sessions: readonly number[]
  readonly cpuMs: number
  readonly problem: string
}

export type ToClients = 'report' | 'stop'

export const cpuMs = (): number => { const { user, system } = process.cpuUsage(); return (user + system) / 1000 }

/** Answers the parent until it goes. */
export function answerParent (report: () => ClientReport, stop: () => void): void {
  process.on('message', (message: ToClients) => {
    if (message === 'report') process.send?.(report())
    else {
      stop()
      process.disconnect()
    }
  })
  process.on('disconnect', () => { process.exit(0) })
}
