/** Bounds and defaults of health checks; the schema, the builder and the checker read them here. */
export const healthLimits = {
  intervalMsMin: 20, intervalMsMax: 3_600_000,
  timeoutMsMin: 5, timeoutMsMax: 600_000,
  thresholdMax: 100,
  jitterPctMax: 50,
  minDaysMax: 365,
  passiveMax: 10_000,
  bodyBytesMax: 16_384,
  hostCharsMax: 253, pathCharsMax: 4096, bodyPatternCharsMax: 256,
  checksMax: 1024,
  slowStartMsMax: 3_600_000
} as const

/** Regular expressions of what goes into a request as it stands. */
export const requestPatterns = { path: '^/[!-~]*$', host: '^[!-~]+$' } as const

export const healthDefaults = { intervalMs: 1000, timeoutMs: 1000, rise: 2, fall: 3, jitterPct: 10 } as const
