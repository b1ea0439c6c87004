/** Sessions as they cross into TypeScript: filters in, columns out; a row object only for what a person asked to see. */

/** All conditions must hold; an empty filter means every live session. Names and ids are both accepted above this layer. */
export interface SessionFilter {
  /** Prefix of the client's address, `192.0.2.0/24`. */
  readonly source?: string
  readonly destination?: string
  /** Prefix that any of the four addresses (wire and translated) falls in. */
  readonly address?: string
  readonly sourcePort?: number
  readonly destinationPort?: number
  /** Any of the four ports. */
  readonly port?: number
  /** IANA number. */
  readonly protocol?: number
  readonly family?: 4 | 6
  readonly domain?: number
  readonly zoneIn?: number
  readonly zoneOut?: number
  readonly policy?: number
  readonly vip?: number
  readonly real?: number
  readonly rg?: number
  readonly app?: number
  /** Names of phases, for example `TCP_ESTABLISHED`. */
  readonly phases?: readonly string[]
  readonly snat?: boolean
  readonly dnat?: boolean
  readonly fromPeer?: boolean
  /** Of a dataplane with sessions of its own. */
  readonly program?: boolean
  readonly minIdleMs?: number
  readonly minAgeMs?: number
  readonly maxAgeMs?: number
  /** 32 hexadecimal digits: origin, then serial. */
  readonly id?: string
}

/** A flow as one of its packets shows it. */
export interface SessionTuple {
  readonly source: string
  readonly sourcePort: number
  readonly destination: string
  readonly destinationPort: number
  /** IANA number. */
  readonly protocol: number
  readonly domain: number
}

/** As deep as an order of sessions goes: who wants more narrows the filter. */
export const SESSION_ORDER_MAX = 1000

/** One batch of a listing: `rows` rows, each requested column contiguous (bytes per row as in codes.ts `column`). */
export interface SessionColumns {
  readonly rows: number
  readonly columns: ReadonlyMap<string, Uint8Array>
  /** Pass to the next call; `null` when the walk is complete. */
  readonly cursor: number | null
}

/** One session for a person. Ids of zones and so on are resolved to names above this layer. */
export interface SessionRow {
  readonly id: string
  readonly slot: number
  readonly family: 4 | 6
  readonly protocol: number
  readonly domain: number
  readonly source: string
  readonly sourcePort: number
  readonly destination: string
  readonly destinationPort: number
  readonly replySource: string
  readonly replySourcePort: number
  readonly replyDestination: string
  readonly replyDestinationPort: number
  readonly zoneIn: number
  readonly zoneOut: number
  readonly policy: number
  readonly vip: number
  readonly real: number
  readonly rg: number
  readonly app: number
  readonly phase: string
  readonly flags: readonly string[]
  readonly packetsForward: bigint
  readonly packetsReply: bigint
  readonly bytesForward: bigint
  readonly bytesReply: bigint
  readonly idleMs: number
  readonly ageMs: number
  readonly expiresMs: number
}

export interface SessionChange {
  readonly kind: 'create' | 'update' | 'recreate' | 'delete'
  readonly closeReason: string
  readonly session: SessionRow
}

export interface DeleteResult {
  readonly matched: number
  /** Really deleted: another party may have been quicker. */
  readonly deleted: number
}

/** A session to put into the table; ids as in SessionRow, `phase` of the codes. */
export interface NewSession {
  readonly tuple: SessionTuple
  /** The return packet. */
  readonly reply: SessionTuple
  readonly zoneIn: number
  readonly zoneOut: number
  readonly policy: number
  readonly vip: number
  readonly real: number
  readonly app: number
  readonly rg: number
  readonly phase: number
  /** Both directions were seen. */
  readonly replied: boolean
  readonly ageMs: number
  readonly idleMs: number
}

export interface InstallResult {
  readonly installed: number
  /** Replaced sessions that held the tuple (R25). */
  readonly replaced: number
  readonly conflicts: number
  readonly full: number
  readonly invalid: number
}

export interface VerifyReport {
  readonly ok: boolean
  readonly slots: number
  readonly live: number
  readonly creating: number
  readonly dying: number
  readonly dead: number
  readonly free: number
  readonly entries: number
  /** Each a broken invariant with its count; empty when ok. */
  readonly faults: ReadonlyArray<{ readonly name: string, readonly count: number, readonly first: string }>
  readonly durationMs: number
}

export interface ReconcileInput {
  /** Redundancy groups that the peer owned when the bulk began: a bit per group. The *snapshot* decides (hazard 4). */
  readonly peerOwned: number
  /** A bulk really began; a spurious end deletes nothing (hazard 5). */
  readonly began: boolean
  /** The source read failed; then nothing is deleted (hazard 19). */
  readonly sourceFailed: boolean
}

export interface ReconcileResult {
  readonly scanned: number
  readonly stale: number
  readonly deleted: number
  readonly walkMs: number
  readonly clearMs: number
  readonly graceMs: number
}
