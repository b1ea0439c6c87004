/** The whole surface of the core addon, in the addon's order (native/addon). All fields present, `null` for "none". */

export interface TableGeometry {
  /** Power of two, LS_CAPACITY_MIN to LS_CAPACITY_MAX. */
  readonly capacity: number
  /** Worker ids below this belong to XDP; 0 for a table of user space alone. */
  readonly cpus: number
  /** Packet worker threads. */
  readonly threads: number
  /** 64-byte elements for Maglev rings; 0 = default. */
  readonly arena: number
  /** 0 never, 1 when available, 2 or fail. */
  readonly hugepages: number
  /** File to hold the table; empty = anonymous memory. */
  readonly path: string
}

export interface NativeTableInfo {
  readonly id: number
  readonly capacity: number
  readonly slots: number
  readonly buckets: number
  readonly workers: number
  readonly cpus: number
  readonly threads: number
  readonly freeRing: number
  readonly noticeRing: number
  readonly arenaElements: number
  readonly origin: bigint
  readonly bytes: number
  readonly hugepages: boolean
  readonly fd: number
  /** Free slots in the agent's list. */
  readonly listed: number
  /** Room is scarce: 0 no, 1 half-open sessions end early, 2 SYNs are answered with cookies as well (enum ls_pressure). */
  readonly pressure: number
  /** Sessions counted by the last full expiry pass. */
  readonly live: number
  readonly passes: number
  readonly freed: number
  readonly installed: number
  readonly generation: number
  readonly graces: number
  readonly graceNs: number
  /** Process that was ended because a worker of it stayed in one burst for LS_PROCESS_SILENT_MS; 0 = none. */
  readonly silenced: number
  /** Sessions freed by close reason. */
  readonly freedBy: readonly number[]
}

export interface NativeInstallResult { readonly installed: number, readonly replaced: number, readonly conflicts: number, readonly full: number, readonly invalid: number }
export interface NativeDeleteResult { readonly matched: number, readonly deleted: number, readonly graceNs: number }
export interface NativeVerifyReport {
  readonly slots: number
  readonly live: number
  readonly creating: number
  readonly dying: number
  readonly dead: number
  readonly free: number
  readonly entries: number
  readonly durationNs: number
  readonly faults: ReadonlyArray<{ readonly name: string, readonly count: number, readonly first: number }>
}
export interface NativeReconcileResult {
  /** Name of the status, `LS_OK` when it ran. */
  readonly status: string
  readonly scanned: number
  readonly stale: number
  readonly deleted: number
  readonly walkNs: number
  readonly clearNs: number
  readonly graceNs: number
}

export interface NativeTable {
  info: () => NativeTableInfo
  /** Throws LS_E_BUSY while work is in flight. */
  close: () => void
  install: (records: Uint8Array, stride: number, status: Uint8Array | null, mark: boolean) => NativeInstallResult
  /** As opened here: told as what workers open is. `status`: a byte each, enum ls_status. */
  open: (records: Uint8Array, status: Uint8Array) => NativeInstallResult
  /** Counters and last seen of sessions that are here; nothing is opened or told. */
  touch: (records: Uint8Array, status: Uint8Array) => NativeInstallResult
  /** Whether a live session owns the tuple, a struct ls_key in either direction; then `out` is its record. */
  get: (key: Uint8Array, out: Uint8Array) => boolean
  drain: (out: Uint8Array) => { readonly records: number, readonly overruns: number }
  /** Rows of struct ls_log. */
  drainLogs: (out: Uint8Array) => number
  feed: (on: boolean) => void
  /** Rows of struct ls_wire_delete. */
  deleteIds: (rows: Uint8Array) => Promise<NativeDeleteResult>
  /** struct ls_filter; enum ls_close_reason. Cancelled, it stops between batches, and `done` tells what was deleted until then. */
  /** Sessions of these reals; ids. */
  deleteReals: (reals: Uint8Array) => Promise<NativeDeleteResult>
  deleteFilter: (filter: Uint8Array, reason: number) => { readonly done: Promise<NativeDeleteResult>, readonly cancel: () => void }
  scanColumns: (filter: Uint8Array, columns: number, cursor: number, out: Uint8Array, maxRows: number, maxNs: number) => { readonly rows: number, readonly cursor: number | null }
  scanRecords: (filter: Uint8Array, cursor: number, out: Uint8Array, maxNs: number) => { readonly rows: number, readonly cursor: number | null }
  /** Records that match, in order, at the head of `out`, which has room for all of them; how many. */
  selectRecords: (filter: Uint8Array, records: Uint8Array, out: Uint8Array) => number
  /** One row a record, as scanColumns would give its session. */
  recordColumns: (records: Uint8Array, columns: number, out: Uint8Array) => void
  count: (filter: Uint8Array) => Promise<number>
  verify: () => Promise<NativeVerifyReport>
  bulkBegin: () => void
  reconcile: (peerOwned: number, began: boolean, sourceFailed: boolean) => Promise<NativeReconcileResult>
  reevaluate: () => Promise<NativeDeleteResult>
  /** struct ls_config: written to the idle bank, flipped, one grace. */
  writeConfig: (bank: Uint8Array) => void
  /** The bank in force. */
  readConfig: (out: Uint8Array) => void
  writeArena: (element: number, bytes: Uint8Array) => void
  readArena: (element: number, out: Uint8Array) => void
  setRole: (rg: number, role: number, epoch: bigint, leaseDeadlineNs: bigint) => void
  /** What the dataplane has of each redundancy group. */
  groups: () => ReadonlyArray<{ readonly role: number, readonly epoch: bigint, readonly leaseDeadlineNs: bigint }>
  /** Every packet that was on its way when it was called is through. */
  grace: () => Promise<void>
  /** Sums of struct ls_counters into `out`; returns CLOCK_MONOTONIC. */
  counters: (out: Uint8Array) => bigint
  /** Adds 64-bit numbers to counters of struct ls_counters, from a byte of it on. */
  addCounters: (at: number, add: Uint8Array) => void
  rates: (zone: number) => number[]
  /** One row per pool address. */
  natUsage: () => Promise<ReadonlyArray<{ readonly address: string, readonly pool: number, readonly ports: number, readonly inUse: number, readonly created: number, readonly failed: number }>>
  /** Live sessions, each column by code, id or number. */
  sessionTally: () => Promise<{ readonly phases: Float64Array, readonly zones: Float64Array, readonly protocols: Float64Array }>
  /** What the configuration in force picks from. */
  rings: () => ReadonlyArray<{ readonly element: number, readonly entries: number }>
  /** The workers below `info().cpus` run, or no longer do. */
  programs: (on: boolean) => void
  /** Programs record what the host opens itself: its replies are known by their sessions, not by their ports. */
  hostFlows: (on: boolean) => void
  /** Of a dataplane that is programmed. `lives`: leases are kept. `keeps`: sessions flagged LS_SF_PROGRAM do not end by time: it says when. */
  programmed: (lives: boolean, keeps: boolean) => void
  /** The process of these workers, by id, ended in the middle of something (R6). */
  adoptWorkers: (first: number, n: number) => Promise<{ readonly live: number, readonly undone: number, readonly finished: number, readonly listed: number, readonly entriesCleared: number }>
  /** It ended between two bursts. */
  detachWorkers: (first: number, n: number) => void
  startFreer: () => void
  stopFreer: () => void
}

export interface NativeApplyResult {
  /** New or refreshed. */
  readonly installed: number
  readonly deleted: number
  /** Deletions and activity of what is not here. */
  readonly unknown: number
  /** Their tuples are held by sessions that go first. */
  readonly waiting: number
  /** Their tuples are held by sessions of this node. */
  readonly conflicts: number
  readonly full: number
  readonly invalid: number
}
/** Frames written: without a number and a checksum. `rows`: the changes in them. */
export interface NativeFrames { readonly bytes: number, readonly rows: number }
export interface NativeFramesStep extends NativeFrames { readonly cursor: number | null }

/** A table's half of replication; for one thread. Bits of `owned` are groups. */
export interface NativeReplica {
  close: () => void
  /** Drained records as frames; `out` holds 312 bytes for each. */
  note: (records: Uint8Array, n: number, owned: number, out: Uint8Array) => NativeFrames
  /** Rows of an ordered frame, which begin at a multiple of 8 bytes; `null`: they are none of that type. */
  apply: (type: number, rg: number, rows: Uint8Array, row: number, n: number, mark: boolean) => NativeApplyResult | null
  /** 16 bytes; the sketch is whole again when `count` says so. */
  key: (rg: number, key: Uint8Array) => void
  count: (slots: number) => boolean
  /** False: cells are being counted already, or there is no memory. */
  extend: (rg: number, cells: number) => boolean
  /** struct ls_frame_cut; false: not now. */
  cut: (rg: number, out: Uint8Array) => boolean
  /** Bytes; 0: no such cells. */
  cells: (rg: number, from: number, n: number, out: Uint8Array) => number
  cutCells: (rg: number) => number
  /** Cells to ask for next, after `fed`, of at most `most`; 0: no more. */
  plan: (ours: number, theirs: number, fed: number, most: number) => number
  compare: (rg: number, items: number) => void
  /** 0 more are needed, 1 done, 2 failed. `guess`: how many differ, by the counts of the cells so far. */
  compareCells: (rg: number, packed: Uint8Array, n: number) => { readonly state: number, readonly found: number, readonly guess: number }
  compareEnd: (rg: number) => { readonly needed: number, readonly extra: number }
  /** Session ids, 16 bytes each. */
  need: (rg: number, from: number, out: Uint8Array) => number
  /** Ids of what compareEnd deleted, likewise. */
  gone: (rg: number, from: number, out: Uint8Array) => number
  records: (rg: number, ids: Uint8Array, n: number, out: Uint8Array) => NativeFrames
  bulk: (rg: number, cursor: number, max: number, out: Uint8Array) => NativeFramesStep
  activity: (owned: number, cursor: number, max: number, sinceNs: bigint, out: Uint8Array) => NativeFramesStep
  /** `rows`: what differed. */
  audit: (owned: number, cursor: number, slots: number, out: Uint8Array) => NativeFramesStep
  bulkBegin: () => void
  /** How many sessions were stale. */
  bulkEnd: (rg: number) => number
  /** Blocks until no deletion is under way and no row waits. */
  settle: () => void
  info: () => { readonly items: readonly number[], readonly cells: readonly number[], readonly waiting: number, readonly deleting: number, readonly lateConflicts: number, readonly lateFull: number, readonly bytes: number, readonly populated: boolean }
}

export interface NativePortSpec {
  /** 1 packet, 2 pcap, 3 tap, 4 source. */
  readonly kind: number
  readonly name: string
  /** Path of the namespace; empty = this process's. */
  readonly netns: string
  readonly in: string
  readonly out: string
  /** Ours, on a port without a kernel; empty = made from the name. */
  readonly mac: string
  /** 0 = 1500 (the kernel's for packet ports). */
  readonly mtu: number
  /** Packets per second; 0 = as recorded (pcap). */
  readonly rate: number
  readonly flows: number
  /** pcap: times to play, 0 = for ever. */
  readonly loops: number
  readonly reflect: boolean
  readonly src: string
  readonly dst: string
  readonly dport: number
  readonly proto: number
  /** The id it should have; 0 = any. */
  readonly device: number
  /** Known, with an id, but not open: another dataplane receives from it. Packet ports only. */
  readonly parked: boolean
}

export interface NativePort {
  readonly device: number
  readonly kind: number
  readonly name: string
  readonly ifindex: number
  readonly mac: string
  readonly mtu: number
  readonly up: boolean
  readonly rxPackets: number
  readonly rxBytes: number
  readonly rxDropped: number
  readonly txPackets: number
  readonly txBytes: number
  readonly txDropped: number
}

export interface NativeUserspace {
  addPort: (spec: NativePortSpec) => { readonly device: number, readonly mac: string, readonly mtu: number, readonly ifindex: number }
  /** Packets are received from here on: after the flip that names the port. */
  enablePort: (device: number) => void
  /** No longer received from; frames can still leave by it. */
  disablePort: (device: number) => void
  parkPort: (device: number) => void
  /** Open again, for sending at first. */
  unparkPort: (device: number) => void
  removePort: (device: number) => void
  /** Namespace whose routes and neighbours are mirrored. */
  startLinks: (netns: string) => void
  start: () => void
  /** Nanoseconds it took. */
  stop: () => number
  close: () => void
  ports: () => NativePort[]
  links: () => ReadonlyArray<{ readonly ifindex: number, readonly name: string, readonly mac: string, readonly mtu: number, readonly flags: number, readonly addresses: readonly string[] }>
  neighbours: () => ReadonlyArray<{ readonly address: string, readonly device: number, readonly mac: string, readonly state: number }>
  setRoutes: (routes: Uint8Array) => void
  /** How many of all routes did not fit. */
  routesLeftOut: () => number
  setNeighbours: (neighbours: Uint8Array) => void
  /** The address's neighbour entry is valid on some port. Asking keeps it probed. */
  resolved: (address: string) => boolean
  /** Next hops of the group that are not resolved: gateways, and reals that take new flows. */
  unresolved: (rg: number) => number
  /** Rows of struct ls_announcement; frames, none of them unless the group is owned here. */
  announce: (rg: number, rows: Uint8Array) => { readonly sent: number, readonly unsent: number }
}

/** Keeps leases and sends heartbeats on a thread of its own (native/heart). */
export interface NativeHeart {
  close: () => void
}

/** ICMP and ICMPv6 echo (native/health). */
export interface NativeEcho {
  /** 0, or an errno. `source`: '' = the kernel's choice; `sequence`: 0-65535. */
  send: (address: string, source: string, sequence: number) => number
  /** Address and sequence of each reply that has come, one after the other; never waits. */
  receive: () => ReadonlyArray<string | number>
  close: () => void
}

/** TCP connections that are made and reset (native/health). */
export interface NativeConnects {
  /** 0: it is made; positive: under way by this name; negative: the errno for which there is none. `source`: '' = the kernel's choice. */
  begin: (address: string, port: number, source: string) => number
  /** Name and 0 or errno of each that ended since, one after the other; never waits. */
  ended: () => readonly number[]
  cancel: (name: number) => void
  close: () => void
}

/** Frames of VPP's binary API (native/backend/vpp): read on a thread of its own, whole and in order here. */
export interface NativeVppSocket {
  /** Never waits. 0 or an errno: EPIPE it is over, ENOBUFS VPP does not read. */
  send: (frames: Uint8Array) => number
  /** What has come; `null`: nothing. */
  take: () => Uint8Array | null
  /** `null`: alive; else why not: '' VPP closed it, or the text of an errno. */
  over: () => string | null
  close: () => void
}

/** The same through shared memory and VPP's own library, which keeps one connection for a process (native/backend/vpp/shared.h). */
export interface NativeVppShared extends NativeVppSocket {
  /** `null`: VPP has not answered yet; else what its events carry in the place of a context. */
  greeted: () => number | null
  /** Id of a message, of this connection alone; -1: this VPP has none. */
  lookup: (key: string) => number
}

export type NativeStatsKind = 'empty' | 'scalar' | 'gauge' | 'simple' | 'combined' | 'names' | 'symlink' | 'histogram' | 'ring'

/** An entry of the segment; a symlink is the column it leads to: one number, or two, for each thread that has it. Thread 0 is VPP's main thread. */
export type NativeStatsValue =
  /** A number up to 2^53. */
  | { readonly kind: 'scalar' | 'gauge', readonly value: number | bigint }
  | { readonly kind: 'simple', readonly threads: readonly Float64Array[] }
  /** Packets and bytes, one after the other. */
  | { readonly kind: 'combined', readonly threads: readonly Float64Array[] }
  | { readonly kind: 'names', readonly names: ReadonlyArray<string | null> }
  /** `bins[i]` counts what is around 2^(minExponent + i). */
  | { readonly kind: 'histogram', readonly threads: ReadonlyArray<{ readonly minExponent: number, readonly bins: Float64Array }> }
  /** `written`: records ever, by thread; `records()` has them. */
  | { readonly kind: 'ring', readonly recordBytes: number, readonly slots: number, readonly schemaVersion: number, readonly schema: Uint8Array, readonly written: readonly bigint[] }

/**
 * The stats segment of one life of VPP (native/backend/vpp). What a call returns was copied in one pass that held; it blocks for some milliseconds at most.
 * Throws LS_E_BUSY while VPP does not stop changing the layout, LS_E_GEOMETRY for a damaged segment. After VPP's end it stays as it was: `heartbeat` stands still.
 */
export interface NativeVppStats {
  /** Without what is of a type unknown here; 'empty' is an entry that was removed. */
  directory: () => ReadonlyArray<{ readonly index: number, readonly kind: NativeStatsKind, readonly name: string }>
  /** In the order asked; null: there is no such entry, or nothing in it. */
  read: (names: readonly string[]) => ReadonlyArray<NativeStatsValue | null>
  /** Two numbers for each name, summed over threads: value or packets, and bytes; NaN: there is none. `index` does not count for scalars, gauges and symlinks. */
  counters: (names: readonly string[], index: number) => Float64Array
  /** Records of a ring from `since` on, oldest first, a MiB at most; `lost`: overwritten before `first`. Null: no such ring or thread. */
  records: (name: string, thread: number, since: bigint) => { readonly first: bigint, readonly next: bigint, readonly lost: number, readonly records: Uint8Array } | null
  /** Changes with the layout. */
  epoch: () => number
  /** Counted up by VPP's collector, every 10 s unless configured otherwise; null: it has not begun. */
  heartbeat: () => number | null
  close: () => void
}

export interface NativeCore {
  readonly layoutVersion: number
  readonly wireVersion: number
  readonly configBytes: number
  readonly countersBytes: number
  /** Descriptor of a file that this process alone holds until it is closed or the process ends. Throws LS_E_BUSY. */
  readonly lockFile: (path: string) => number
  /** Bits of the kernel's enum netdev_xdp_act; `netns`: a path, empty = this process's. Null: this kernel does not tell. Throws LS_E_NO_DEVICE, LS_E_SYSTEM. */
  readonly xdpFeatures: (netns: string, ifindex: number) => number | null
  /** Turns GRO and LRO of a kernel interface off until the claim is given back; claims of one interface are counted. 0: nothing was claimed. */
  readonly aggregationOff: (netns: string, device: string) => number
  /** It gets back what it had when the last claim goes; 0 is none. */
  readonly aggregationBack: (claim: number) => void
  /** Packed struct ls_tcp_row (native/mirror/api.h). Throws LS_E_FULL, LS_E_PERMISSION, LS_E_SYSTEM. */
  readonly tcpEstablished: (netns: string, port: number) => Promise<Uint8Array>
  /** Makes a routing table of the kernel have these routes (packed struct ls_own_route), and no others of ours. Throws LS_E_INVALID, LS_E_PERMISSION, LS_E_SYSTEM. */
  readonly ownRoutes: (netns: string, table: number, wanted: Uint8Array) => Promise<{ readonly added: number, readonly removed: number }>
  /** Header of a new table, for who makes its regions. */
  readonly tableHeader: (geometry: Omit<TableGeometry, 'hugepages' | 'path'>) => Uint8Array
  /** `regions`: laid over maps, a descriptor each; `created`: they are new; `programs`: XDP forwards on them already. */
  readonly Table: new (options: TableGeometry | { readonly open: string } | { readonly attach: number } | { readonly regions: readonly number[], readonly created: boolean, readonly programs: boolean }) => NativeTable
  readonly Userspace: new (table: NativeTable, workers: number) => NativeUserspace
  /** Packed struct ls_maglev_real; entries; the ring in force (u16 each) or null. */
  readonly maglev: (reals: Uint8Array, size: number, old: Uint8Array | null) => Promise<{ readonly ring: Uint8Array, readonly hash: bigint, readonly moved: number, readonly rebuilt: boolean }>
  readonly Replica: new (table: NativeTable) => NativeReplica
  /** The calling thread, with all sockets and processes that it makes from here on, is in the network namespace of that path. Throws LS_E_NO_DEVICE, LS_E_SYSTEM. */
  readonly enterNetns: (path: string) => void
  /** Echo requests from the namespace of the thread that sends the first one. */
  readonly Echo: new () => NativeEcho
  /** Connections from the namespace of the thread that begins them. */
  readonly Connects: new () => NativeConnects
  /** For a table that no keeper has; one for each `name` on a host. Throws LS_E_BUSY. */
  readonly Heart: new (table: NativeTable, name: string) => NativeHeart
  /** Descriptor of a connection to the heart of that name, which is the pins' folder for a keeper's; -1: nobody listens. */
  readonly connectHeart: (name: string) => number
  /** `ready` is called once until take(): there is something to take, or it is over. Throws LS_E_SYSTEM, LS_E_PERMISSION. */
  readonly VppSocket: new (path: string, ready: () => void) => NativeVppSocket
  /**
   * libvppapiclient.so is loaded from `library`, '' = searched, and kept; `prefix`: of VPP's api-segment, '' = none. `ready` is called too when `greeted` has
   * come. After close() the library disconnects by itself, and the next one waits for that. Throws LS_E_BUSY (this process has one, or had another library
   * or prefix), LS_E_SYSTEM (no library, no segment), LS_E_UNSUPPORTED (a symbol is missing), LS_E_PERMISSION, LS_E_INVALID.
   */
  readonly VppShared: new (library: string, prefix: string, name: string, ready: () => void) => NativeVppShared
  /** Blocks until VPP has passed its segment. Throws LS_E_SYSTEM (ENOENT, ECONNREFUSED: nobody listens), LS_E_PERMISSION, LS_E_BUSY (no descriptor came), LS_E_TRUNCATED, LS_E_VERSION or LS_E_GEOMETRY (not a segment of version 2). */
  readonly VppStats: new (path: string, timeoutMs: number) => NativeVppStats
}
