/** `bgp.report` of the configuration: to whom the state of BGP sessions is told, and when. Durations are milliseconds. */

export interface BgpReportSettings {
  /** Between two looks at all subjects. */
  readonly intervalMs: number
  readonly graceMs: number
  readonly debounceMs: number
  readonly refreshMs: number
  /** 0 to 1. */
  readonly refreshJitter: number
  readonly spacingMs: number
  readonly sinks: readonly BgpSinkSettings[]
}

export type BgpSinkSettings = BgpFileSink | BgpWebhookSink | BgpSolanaSink

export interface BgpFileSink { readonly type: 'file', readonly name: string, readonly path: string }

export interface BgpWebhookSink {
  readonly type: 'webhook'
  readonly name: string
  readonly url: string
  /** `null`: requests are not signed. */
  readonly secretFile: string | null
  readonly timeoutMs: number
  readonly batch: number
}

export interface BgpSolanaSink {
  readonly type: 'solana'
  readonly name: string
  readonly url: string
  readonly program: string
  readonly device: string
  readonly keypairFile: string
  /** Writes are logged, none is sent. */
  readonly dryRun: boolean
  readonly commitment: 'confirmed' | 'finalized'
  /** Micro-lamports for a compute unit; 0: none are offered. */
  readonly computeUnitPrice: number
  /** Lamports; below it the operator is warned. */
  readonly balanceMin: number
}

/** Defaults and bounds: the schema, the builder and the documentation read them here. */
export const bgpReportDefaults = {
  intervalMs: 10_000, graceMs: 0, debounceMs: 0, refreshMs: 6 * 3_600_000, refreshJitterPct: 10, spacingMs: 0,
  webhook: { timeoutMs: 10_000, batch: 100 }, solana: { commitment: 'confirmed', balanceMin: 50_000_000 },
} as const

export const bgpReportLimits = {
  sinksMax: 16, intervalMsMin: 1000, intervalMsMax: 3_600_000, graceMsMax: 86_400_000, refreshMsMin: 60_000, refreshMsMax: 7 * 86_400_000, refreshJitterPctMax: 50,
  timeoutMsMin: 100, timeoutMsMax: 60_000, batchMax: 1000, computeUnitPriceMax: 1_000_000_000,
} as const

/** The program on each ledger. */
export const bgpLedgerPrograms: Readonly<Record<string, string>> = {
  'mainnet-beta': 'ser2VaTMAcYTaauMrTSfSrxBaUDq7BLNs2xfUugTAGv',
  testnet: 'DZtnuQ839pSaDMFG5q1ad2V95G82S5EC4RrB3Ndw2Heb',
  devnet: 'GYhQDKuESrasNZGyhMJhGYFtbzNijYhcrN9poSqCQVah',
  localnet: '7CTniUa88iJKUHTrCkB4TjAoG6TD7AMivhQeuqN2LPtX',
}
