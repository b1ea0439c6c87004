/**
 * Health checks of real servers: what is asked (Desired), what is known (views), and what of it reaches the dataplane. Durations are milliseconds,
 * moments Unix milliseconds.
 */

export type CheckType = 'icmp' | 'tcp' | 'tls' | 'http' | 'grpc' | 'dns' | 'exec'

/** How a TLS session is judged; the handshake is part of the check. */
export interface TlsSettings {
  /** SNI, and the name that the certificate must have; `null`: none is sent, and none is asked for. */
  readonly serverName: string | null
  /** `none` takes any certificate; `expiry` one that is valid now; `full` one of an authority for the server's name. */
  readonly verify: 'none' | 'expiry' | 'full'
  /** File of authorities, PEM; `null`: those of the host. */
  readonly authority: string | null
  /** Days that the certificate must still be valid. */
  readonly minDays: number
}

export interface HttpSettings {
  readonly method: 'GET' | 'HEAD' | 'OPTIONS' | 'POST'
  readonly path: string
  /** `null`: the address of the real. */
  readonly host: string | null
  readonly headers: Readonly<Record<string, string>>
  /** Inclusive ranges of status codes. */
  readonly statuses: ReadonlyArray<{ readonly from: number, readonly to: number }>
  /** Regular expression that the first bodyMax bytes of the body must match; `null`: any. */
  readonly body: string | null
}

export interface DnsSettings {
  readonly name: string
  readonly type: 'A' | 'AAAA' | 'TXT' | 'SOA' | 'NS' | 'MX' | 'CNAME'
  /** An answer of it must have this text; `null`: any answer without an error will do. */
  readonly answer: string | null
}

/** One kind of check, by name. What is not of its type is `null`. */
export interface HealthCheck {
  readonly name: string
  readonly type: CheckType
  /** 0 = the real's, else the VIP's. */
  readonly port: number
  /** Between two probes of a target whose state is sure. */
  readonly intervalMs: number
  /** While it is in doubt. */
  readonly fastIntervalMs: number
  /** While it is down. */
  readonly downIntervalMs: number
  /** For the whole probe, from the first packet to the last byte. */
  readonly timeoutMs: number
  /** Passes in a row that bring it up. */
  readonly rise: number
  /** Failures in a row that bring it down. */
  readonly fall: number
  /** Of each interval, up and down, in per cent. */
  readonly jitterPct: number
  /** Network namespace that probes leave from; `null`: that of the agent's ports. */
  readonly netns: string | null
  /** Address that they leave from, by family; `null`: the kernel's choice. */
  readonly source: { readonly v4: string | null, readonly v6: string | null }
  readonly tls: TlsSettings | null
  readonly http: HttpSettings | null
  readonly dns: DnsSettings | null
  /** Service of grpc.health.v1; '' is the server as a whole. */
  readonly grpcService: string | null
  /** Program and arguments; `{address}` and `{port}` are filled in. Never a shell. */
  readonly argv: readonly string[] | null
  /** Port of each real where an agent says how much it can take, and what is said to it; `null`: there is none. */
  readonly agent: { readonly port: number, readonly send: string } | null
  /** TCP flows in a row that a real refuses or leaves without an answer, and that count as a failed probe; 0: sessions say nothing of it. */
  readonly passive: number
}

/** Of a target under a check. `unknown`: never probed, or forgotten · `paused`, `disabled`: by an operator; nobody probes. */
export const healthStates = ['unknown', 'up', 'down', 'paused', 'disabled'] as const
export type HealthState = typeof healthStates[number]

/** What happens to a target: a probe ended, or an operator spoke. */
export type HealthInput = 'pass' | 'fail' | 'pause' | 'resume' | 'disable' | 'enable'

/** What a probe found. */
export interface ProbeOutcome {
  readonly ok: boolean
  /** Stable word for metrics: `ok`, `refused`, `timeout`, `unreachable`, `reset`, `status`, `body`, `tls`, `expired`, `answer`, `exit`, `agent`, `error`. */
  readonly code: ProbeCode
  /** For people: `status 503, expected 200-399`. */
  readonly detail: string
  readonly tookMs: number
  /** What its agent says that it can take, 0 to 100; absent: it did not say. */
  readonly sharePct?: number
}
export type ProbeCode = 'ok' | 'refused' | 'timeout' | 'unreachable' | 'reset' | 'status' | 'body' | 'tls' | 'expired' | 'answer' | 'exit' | 'agent' | 'error'

export interface HealthTransition { readonly at: number, readonly from: HealthState, readonly to: HealthState, readonly code: ProbeCode | 'operator' | 'restored' | 'sessions', readonly detail: string }

/** By id of the target. */
export interface KnownHealth { readonly states: ReadonlyMap<string, HealthState>, /** What agents said last, where it is not 100. */ readonly shares: ReadonlyMap<string, number> }
export const nothingKnown: KnownHealth = { states: new Map(), shares: new Map() }

/** Who is probed, and how. */
export interface CheckTarget {
  /** One for each check, address and port: `web/192.0.2.7:80`. */
  readonly id: string
  readonly check: HealthCheck
  readonly address: string
  /** 0: the check has none. */
  readonly port: number
}

export interface TargetStatus {
  /** Of its CheckTarget. */
  readonly id: string
  readonly check: string
  readonly type: CheckType
  readonly address: string
  readonly port: number
  readonly state: HealthState
  /** Passes and failures so far, 0 to rise + fall - 1; up from rise on. */
  readonly count: number
  /** What its agent said last, 0 to 100. */
  readonly sharePct: number
  /** Since when it is in this state. */
  readonly since: number
  readonly last: (ProbeOutcome & { readonly at: number }) | null
  readonly passed: number
  readonly failed: number
  /** A probe is under way. */
  readonly probing: boolean
  /** Unix ms: when the next probe begins, or the one under way is given up; `null`: nobody probes. */
  readonly nextAt: number | null
  /** Probes that ended, by what they found. */
  readonly results: Readonly<Partial<Record<ProbeCode, number>>>
  /** That all of them took. */
  readonly tookMs: number
  readonly changes: ReadonlyArray<{ readonly from: HealthState, readonly to: HealthState, readonly count: number }>
  /** Oldest first. */
  readonly history: readonly HealthTransition[]
}
