/** Time of the reporter, injected everywhere: Unix milliseconds that go on evenly, whatever is done to the host's clock while it runs. */
export interface Clock {
  now (): number
  /** Unix milliseconds of the host's clock, which is set now and then: for what is printed, signed or kept over a restart, never for a span. */
  wall (): number
  /** Calls once, later; the result takes that back. */
  after (ms: number, call: () => void): () => void
}

export const steadyClock: Clock = {
  now: () => performance.timeOrigin + performance.now(),
  wall: () => Date.now(),
  after: (ms, call) => {
    const timer = setTimeout(call, ms)
    return () => { clearTimeout(timer) }
  },
}

/** @throws the reason of the signal. */
export function sleep (clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) { reject(reasonOf(signal)); return }
    const leave = (): void => { cancel(); reject(reasonOf(signal)) }
    const cancel = clock.after(ms, () => { signal.removeEventListener('abort', leave); resolve() })
    signal.addEventListener('abort', leave, { once: true })
  })
}

export const reasonOf = (signal: AbortSignal): Error => signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason))

/** `work`, but no longer than `ms`; its signal ends with the time, with `signal`, and work that ignores it is left behind. @throws what it threw, or why it was cut short. */
export async function within<T> (clock: Clock, ms: number, signal: AbortSignal | null, what: string, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const own = new AbortController()
  const leave = (): void => { own.abort(signal === null ? new Error(what) : reasonOf(signal)) }
  if (signal?.aborted === true) throw reasonOf(signal)
  signal?.addEventListener('abort', leave, { once: true })
  const cancel = clock.after(ms, () => { own.abort(new Error(`${what}: no answer in ${ms} ms`)) })
  try {
    return await Promise.race([work(own.signal), cutShort(own.signal)])
  } finally {
    cancel()
    signal?.removeEventListener('abort', leave)
  }
}

export const cutShort = (signal: AbortSignal): Promise<never> => new Promise((_resolve, reject) => {
  if (signal.aborted) reject(reasonOf(signal))
  else signal.addEventListener('abort', () => { reject(reasonOf(signal)) }, { once: true })
})
