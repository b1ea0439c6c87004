/** Milliseconds of CLOCK_MONOTONIC, the clock of the session table, of leases and of heartbeats. */
export const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6
