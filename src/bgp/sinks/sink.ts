/** What a sink of reports is: it has subjects and a record of each, takes batches, and can say what became of one. */
import type { BgpFetches, BgpLook, BgpReport, BgpSubject } from '../../contract/bgp.js'
import type { OwnRecord } from './own-record.js'

/** What became of one report. */
export type Outcome =
  /** It is on record; `mark`: where, by the sink's count of writes. */
  | { readonly kind: 'landed', readonly mark: bigint | null }
  /** It is not, and may be sent again. `afterMs`: so soon; `null`: when the sink has recovered. */
  | { readonly kind: 'transient', readonly reason: string, readonly afterMs: number | null }
  /** It is not, and will not be as things are. */
  | { readonly kind: 'permanent', readonly reason: string }
  /** Nobody knows yet; it must not be sent again before `resolve` has said. `afterMs`: the sink is not asked sooner. */
  | { readonly kind: 'uncertain', readonly reason: string, readonly afterMs?: number | null }

export interface SubjectReading {
  /** When it was read, by the sink's count of writes; `null`: it is always the latest. */
  readonly mark: bigint | null
  readonly subjects: readonly BgpSubject[]
}

export interface Prepared {
  /** With this `resolve` finds out what became of the batch, in another process too. */
  readonly ticket: string
  /** One outcome for each report; uncertain are all of them or none. What it throws leaves all of them uncertain. */
  send (signal: AbortSignal): Promise<readonly Outcome[]>
}

export interface BgpSink {
  readonly name: string
  readonly kind: 'solana' | 'webhook' | 'file'
  readonly batchMax: number
  /** Kept by us for a sink that cannot be asked. */
  readonly record: OwnRecord | null
  /** Checks what must be right before anything is sent. @throws SinkError */
  start (signal: AbortSignal): Promise<void>
  /** @throws when they cannot be read. */
  subjects (look: BgpLook, signal: AbortSignal): Promise<SubjectReading>
  /** Makes ready, sends nothing. @throws SinkError: nothing was sent. */
  prepare (batch: readonly BgpReport[], signal: AbortSignal): Promise<Prepared>
  resolve (ticket: string, batch: readonly BgpReport[], signal: AbortSignal): Promise<readonly Outcome[]>
  /** How the subjects are read, of a sink that reads them somewhere. */
  fetches? (): BgpFetches
  stop (): void
}

/** Why a sink does not take anything. `permanent`: somebody has to change something. */
export class SinkError extends Error {
  constructor (readonly kind: 'transient' | 'permanent', message: string, readonly afterMs: number | null = null, options?: ErrorOptions) { super(message, options) }
}

export const each = (batch: readonly unknown[], outcome: Outcome): Outcome[] => batch.map(() => outcome)
