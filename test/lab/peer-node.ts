/**
 * One node of a pair that is made to differ and repaired, a process of its own: by the sync engine, or by the list of ids and digests that is its peer in
 * `bench reconcile --peer` (bench/reconcile/list_peer.c). Same table, same rows, same sockets.
 */
import { createRequire } from 'node:module'
import { randomBytes } from 'node:crypto'
import { phase } from '../../src/generated/codes.js'
import { limits, layout } from '../../src/generated/layout.js'
import { cutBytes, frameType, viewOf } from '../../src/ha/sync/protocol.js'
import { defaultCosts } from '../../src/ha/sync/incoming.js'
import { FrameReader, frameOf, headerBytes, seal, split, type Frame } from '../../src/ha/sync/frame.js'
import { SyncEngine, type Connection } from '../../src/ha/sync/engine.js'
import { openSockets, type Sockets, type Talker } from '../../src/ha/sync/socket.js'
import { loadCore } from '../../src/native/load.js'
import { recordBytes } from '../../src/native/records.js'
import { records } from '../../bench/api/filled-table.js'

/** `engine`: as it decides · `bulk`, `sketch`: whatever it would decide · `list`: by the peer */
export type Method = 'bulk' | 'list' | 'sketch' | 'engine'

export interface PeerSpec {
  readonly role: 'owner' | 'standby'
  readonly method: Method
  readonly capacity: number
  readonly sessions: number
  /** Of the connection, 16 bytes as hex. */
  readonly key: string
  /** The list_peer module; used by `list` alone. */
  readonly module: string
}

/** Of one connection, from the hello on. */
export interface PeerReport { readonly cpuMs: number, readonly wallMs: number, readonly bytesOut: number, readonly bulks: number, readonly sketches: number }

export type ToPeer =
  | { readonly kind: 'start', readonly spec: PeerSpec }
  /** The usual sessions, as if they had come from the peer. */
  | { readonly kind: 'fill' }
  /** The standby loses `each` sessions from the number `from` on, has `each` others behind them in another phase, and `each` that nobody has. */
  | { readonly kind: 'differ', readonly from: number, readonly each: number }
  | { readonly kind: 'connect', readonly port: number | null }
  | { readonly kind: 'disconnect' }
  /** `report` comes when both are equal; of an owner at once. */
  | { readonly kind: 'report' } | { readonly kind: 'stop' }
export type FromPeer = { readonly kind: 'done', readonly port: number | null } | { readonly kind: 'report', readonly report: PeerReport }

/** What either method is here. */
interface Side extends Talker {
  /** Rows of an ordered frame, as if they had come from the peer. */
  readonly apply: (type: number, rows: Uint8Array, row: number, n: number) => void
  /** Deletions that a repair left behind are done. */
  readonly settle: () => void
  readonly close: () => void
}

interface Seen { fromMs: number, provenMs: number | null, cpu: NodeJS.CpuUsage, bytesOut: number, bulks: number, sketches: number }
let seen: Seen = { fromMs: 0, provenMs: null, cpu: process.cpuUsage(), bytesOut: 0, bulks: 0, sketches: 0 }
const begin = (): void => { seen = { fromMs: performance.now(), provenMs: null, cpu: process.cpuUsage(), bytesOut: 0, bulks: 0, sketches: 0 } }
let onProven = (): void => { /* nobody waits */ }
const proven = (): void => {
  seen.provenMs ??= performance.now()
  onProven()
}

/** The same connection, with the bytes that leave counted. */
const counted = (conn: Connection): Connection => ({
  close: conn.close,
  send: (frame) => {
    seen.bytesOut += frame.length
    conn.send(frame)
  }
})

// --- the engine -------------------------------------------------------------------------------------------------------------------------------------

/** Between two rounds while nothing is under way, as the sync thread has it. */
const IDLE_MS = 10

function engineSide (spec: PeerSpec): Side {
  const core = loadCore()
  const table = new core.Table({ capacity: spec.capacity, cpus: 0, threads: 1, arena: 64, hugepages: 0, path: '' })
  const owner = spec.role === 'owner'
  const epochs = Array.from({ length: limits.LS_RGS_MAX }, () => 256n)
  table.setRole(0, owner ? limits.LS_ROLE_OWNER : limits.LS_ROLE_STANDBY, 256n, 0xffff_ffff_ffff_ffffn)
  const replica = new core.Replica(table)
  const engine = new SyncEngine({
    world: { replica, nowMs: () => performance.now(), random: (n) => randomBytes(n), event: (name) => {
      if (name === 'sync.connected' || name === 'sync.resumed') {
        begin()
        if (spec.method === 'bulk' && !owner) setImmediate(() => { engine.bulk(0) })
      }
      if (name === 'group.bulk') seen.bulks++
    } },
    self: { node: spec.role, table: new Uint8Array(16), generation: 1, ids: new Uint8Array(0), capacity: spec.capacity }, slots: table.info().slots,
    times: { auditMs: 3_600_000, activityMs: 3_600_000 }, // both go on all the time, whichever way is taken
    ...(spec.method === 'sketch' ? { costs: { ...defaultCosts, row: Infinity } } : {})
  })
  engine.own(owner ? 1 : 0, epochs)
  let timer: NodeJS.Timeout | NodeJS.Immediate | null = null
  let closed = false
  let before = engine.status().received
  const cut = replica.cut.bind(replica)
  let atCut = false
  Object.defineProperty(replica, 'cut', { value: (rg: number, out: Uint8Array): boolean => { // status is not asked for at every piece that comes
    atCut = true
    return cut(rg, out)
  } })
  const round = (): void => {
    engine.tick()
    if (closed) return
    timer = engine.busy ? setImmediate(round) : setTimeout(round, IDLE_MS)
  }
  round()
  const connections = new Map<Connection, Connection>()
  return {
    connected: (conn) => {
      const other = counted(conn)
      connections.set(conn, other)
      before = engine.status().received
      engine.connected(other)
    },
    receivedBytes: (conn, bytes) => {
      const other = connections.get(conn)
      if (other !== undefined) engine.receivedBytes(other, bytes)
      if (!atCut) return
      atCut = false
      const now = engine.status().received
      seen.sketches = now.repairs - before.repairs
      // equal at a cut of this connection: with what a bulk brought, where one is asked for
      if (now.equalCuts > before.equalCuts && (spec.method !== 'bulk' || seen.bulks > 0)) proven()
    },
    disconnected: (conn, reason) => {
      const other = connections.get(conn)
      connections.delete(conn)
      if (other !== undefined) engine.disconnected(other, reason)
    },
    status: () => engine.status(),
    apply: (type, rows, row, n) => {
      const result = replica.apply(type, 0, rows, row, n, false)
      if (result === null || result.full > 0 || result.invalid > 0 || result.unknown > 0) throw new Error(`rows that cannot be applied: ${JSON.stringify(result)}`)
    },
    settle: () => { replica.settle() },
    close: () => {
      closed = true
      if (timer !== null) {
        clearTimeout(timer as NodeJS.Timeout)
        clearImmediate(timer as NodeJS.Immediate)
      }
      replica.close()
      table.close()
    }
  }
}

// --- the list ---------------------------------------------------------------------------------------------------------------------------------------

interface ListPeer {
  readonly open: (owner: boolean, capacity: number, key: Uint8Array) => void
  readonly apply: (type: number, rows: Uint8Array, row: number, n: number) => void
  readonly list: (out: Uint8Array) => number
  readonly heard: (rows: Uint8Array, n: number) => void
  readonly compared: () => number
  readonly repair: (out: Uint8Array, max: number) => number
  readonly cut: (out: Uint8Array) => void
  readonly settle: () => void
  readonly close: () => void
}

/** Frame types beyond those of peer.h. An item of the list: id and digest. */
const listed = { items: 200, end: 201, taken: 202 } as const
const itemBytes = 24
const ITEMS = 32_768
/** As the engine's: rows of a frame, and bytes that the standby may be behind. */
const ROWS = 512
const AHEAD = 2 << 20

function listSide (spec: PeerSpec): Side {
  const peer = createRequire(import.meta.url)(spec.module) as ListPeer
  const owner = spec.role === 'owner'
  peer.open(owner, spec.capacity, new Uint8Array(16).fill(3))
  const out = new Uint8Array(Math.max(ITEMS * itemBytes, headerBytes + ROWS * recordBytes))
  let conn: Connection | null = null
  let reader = new FrameReader()
  let seq = 0
  let acknowledged = 0
  let repairing = false
  let ends: number[] = []
  const send = (frame: Uint8Array): void => { conn?.send(seal(frame, ++seq)) }
  /** Frames of the repair, while the standby keeps up; the cut at the end. */
  const pump = (): void => {
    while (repairing && (ends.at(-1) ?? 0) - acknowledged < AHEAD) {
      const bytes = peer.repair(out, ROWS)
      if (bytes === 0) {
        repairing = false
        peer.cut(out)
        send(frameOf({ type: frameType.cut, rg: 0, row: cutBytes, body: out.subarray(0, cutBytes) }))
      } else for (const frame of split(out.subarray(0, bytes))) {
        ends.push((ends.at(-1) ?? 0) + frame.length)
        send(frame)
      }
    }
  }
  let taken = 0
  const frame = (f: Frame): void => {
    switch (f.type) {
      case listed.items: peer.heard(f.body, f.rows); break
      case listed.end:
        peer.compared()
        repairing = true
        pump()
        break
      case frameType.cut:
        peer.cut(out)
        if (Buffer.compare(out.subarray(0, 40), f.body.subarray(0, 40)) !== 0) throw new Error('the list has not made both sides equal')
        proven()
        break
      case listed.taken:
        acknowledged = Number(viewOf(f.body).getBigUint64(0, true))
        pump()
        break
      default:
        peer.apply(f.type, f.body, f.row, f.rows)
        taken += headerBytes + f.body.length
    }
  }
  return {
    connected: (to) => {
      conn = counted(to)
      reader = new FrameReader()
      seq = acknowledged = taken = 0
      ends = []
      repairing = false
      begin()
      if (owner) return
      for (let n = peer.list(out); n > 0; n = peer.list(out)) send(frameOf({ type: listed.items, row: itemBytes, body: out.subarray(0, n * itemBytes) }))
      send(frameOf({ type: listed.end, body: new Uint8Array(0) }))
    },
    receivedBytes: (_, bytes) => {
      const before = taken
      reader.read(bytes, frame)
      if (taken === before) return
      const place = new Uint8Array(8)
      viewOf(place).setBigUint64(0, BigInt(taken), true)
      send(frameOf({ type: listed.taken, body: place }))
    },
    disconnected: () => { conn = null },
    status: () => ({ state: 'up' }),
    apply: (type, rows, row, n) => { peer.apply(type, rows, row, n) },
    settle: () => { peer.settle() },
    close: () => { peer.close() }
  }
}

// --- a node -----------------------------------------------------------------------------------------------------------------------------------------

let side: Side | null = null
let spec: PeerSpec | null = null
let sockets: Sockets | null = null
const shape = layout.ls_wire_record
const closing = phase.findIndex((p) => p.name === 'tcp_fin_wait')

function inPieces (from: number, count: number, piece: (from: number, n: number) => void): void {
  for (let at = 0; at < count; at += limits.LS_FRAME_ROWS_MAX) piece(from + at, Math.min(limits.LS_FRAME_ROWS_MAX, count - at))
}

function differ (to: Side, sessions: number, from: number, each: number): void {
  inPieces(from, each, (first, n) => {
    const rows = records(first, n)
    const deletes = new Uint8Array(n * layout.ls_wire_delete.size)
    for (let i = 0; i < n; i++) deletes.set(rows.subarray(i * recordBytes + shape.id.offset, i * recordBytes + shape.id.offset + 16), i * layout.ls_wire_delete.size + layout.ls_wire_delete.id.offset)
    to.apply(frameType.deletes, deletes, layout.ls_wire_delete.size, n)
  })
  inPieces(from + each, each, (first, n) => {
    const rows = records(first, n)
    for (let i = 0; i < n; i++) rows[i * recordBytes + shape.phase.offset] = closing
    to.apply(frameType.upserts, rows, recordBytes, n)
  })
  inPieces(sessions, each, (first, n) => { to.apply(frameType.upserts, records(first, n), recordBytes, n) })
  to.settle()
}

async function connect (port: number | null): Promise<number | null> {
  if (side === null || spec === null) throw new Error('not started')
  begin() // nothing of the connection before
  sockets = openSockets({
    engine: side, credentials: { kind: 'psk', key: Buffer.from(spec.key, 'hex') }, onProblem: () => { /* a connection that is cut looks like one; who dials calls again */ },
    listen: port === null ? [{ host: '127.0.0.1', port: 0 }] : [], dial: port === null ? [] : [{ host: '127.0.0.1', port }]
  })
  for (let i = 0; port === null && i < 3000 && sockets.listening()[0] == null; i++) await new Promise((resolve) => { setTimeout(resolve, 10) })
  return sockets.listening()[0]?.port ?? null
}

async function report (): Promise<PeerReport> {
  if (spec?.role === 'standby' && seen.provenMs === null) await new Promise<void>((resolve) => { onProven = resolve })
  side?.settle()
  const { user, system } = process.cpuUsage(seen.cpu)
  return { cpuMs: (user + system) / 1000, wallMs: (seen.provenMs ?? performance.now()) - seen.fromMs, bytesOut: seen.bytesOut, bulks: seen.bulks, sketches: seen.sketches }
}

async function answer (message: ToPeer): Promise<FromPeer> {
  const done = { kind: 'done', port: null } as const
  switch (message.kind) {
    case 'start':
      spec = message.spec
      side = spec.method === 'list' ? listSide(spec) : engineSide(spec)
      return done
    case 'fill':
      inPieces(0, spec?.sessions ?? 0, (first, n) => { side?.apply(frameType.upserts, records(first, n), recordBytes, n) })
      return done
    case 'differ':
      if (side !== null && spec !== null) differ(side, spec.sessions, message.from, message.each)
      return done
    case 'connect': return { kind: 'done', port: await connect(message.port) }
    case 'disconnect':
      await sockets?.close()
      sockets = null
      return done
    case 'report': return { kind: 'report', report: await report() }
    case 'stop':
      await sockets?.close()
      side?.close()
      return done
  }
}

process.on('message', (message: ToPeer) => {
  answer(message).then((sent) => {
    process.send?.(sent)
    if (message.kind === 'stop') process.disconnect()
  }, (error: unknown) => {
    console.error(error)
    process.exit(1)
  })
})
