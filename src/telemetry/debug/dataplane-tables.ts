/** Debug tables of the dataplane: links, counters, NAT pools, sessions. Sessions are as many as memory holds: a sample of those that pass is read, within a time limit. */
import type { DebugAsk, DebugTable } from '../../contract/debug.js'
import type { LinkInfo } from '../../contract/dataplane.js'
import type { AgentServices, NameBook, NameKind } from '../../contract/services.js'
import type { SessionColumns, SessionFilter, SessionRow } from '../../contract/session.js'
import { phase } from '../../generated/codes.js'
import { parseAddress, parsePrefix } from '../../lib/address.js'
import { cellsOf } from '../../lib/columns.js'
import { blockRows, counterBlocks } from '../counter-blocks.js'
import type { NatUsage } from '../../contract/dataplane.js'
import type { TableWalk } from '../table-walk.js'
import { debugTable, link } from './table.js'

const NAT_AGE_MS = 1000

export function dataplaneTables (services: Pick<AgentServices, 'dataplane' | 'names' | 'info'>, nat: Pick<TableWalk<readonly NatUsage[]>, 'read'>): readonly DebugTable[] {
  const { names } = services
  return [
    debugTable<LinkInfo>({
      name: 'links', group: 'dataplane', about: 'A port of the dataplane', source: 'main thread, dataplane',
      columns: {
        name: ['text', l => l.name], up: ['text', l => l.up ? 'up' : 'down'], kind: ['text', l => l.kind], device: ['id', l => l.device], ifindex: ['id', l => l.ifindex], mac: ['text', l => l.mac], mtu: ['id', l => l.mtu], addresses: ['text', l => l.addresses.join(', ')],
        'rx-packets': ['number', l => l.rxPackets], 'tx-packets': ['number', l => l.txPackets], 'rx-dropped': ['number', l => l.rxDropped], 'tx-dropped': ['number', l => l.txDropped]
      },
      read: async () => await services.dataplane().links(), tone: ({ up }) => up ? 'good' : 'bad'
    }),
    debugTable<{ readonly block: string, readonly kind: NameKind | null, readonly name: string, readonly field: string, readonly value: number, readonly text: string }>({
      name: 'counters', group: 'dataplane', about: 'A counter of the dataplane that is not 0', source: 'gRPC thread, shared memory',
      columns: {
        key: ['text', c => `${c.block}/${c.name}/${c.field}`], block: ['text', c => c.block], name: ['text', c => c.name], field: ['text', c => c.field], value: ['number', c => c.value], means: ['text', c => c.text],
        object: ['link', c => c.kind === null ? [] : named(c.kind, c.name), 'names', 'vips', 'reals']
      },
      read: () => {
        const snapshot = services.dataplane().telemetry.snapshot()
        return counterBlocks.flatMap(shape => blockRows(snapshot, shape, names, 'counted').flatMap(({ name, text, values }) => values.flatMap((value, i) => value === 0 ? [] : [{ block: shape.name, kind: shape.kind, name, field: shape.fields[i] ?? '', value, text }])))
      }
    }),
    debugTable<NatUsage>({
      name: 'nat-pools', group: 'dataplane', about: 'An address of a NAT pool, and how much of it is in use', source: 'gRPC thread, a walk of the session table at most once a second',
      columns: {
        address: ['address', r => r.address], pool: ['link', r => link('names', `pool/${names.name('pool', r.pool)}`), 'names'], ports: ['number', r => r.ports], 'in-use': ['number', r => r.inUse], created: ['number', r => r.created], failed: ['number', r => r.failed]
      },
      read: async () => (await nat.read(NAT_AGE_MS))?.value ?? [], tone: ({ failed }) => failed > 0 ? 'warn' : ''
    }),
    sessionTable(services)
  ]
}

const named = (kind: NameKind, name: string): ReturnType<typeof link> => kind === 'vip' ? link('vips', name) : kind === 'real' ? link('reals', name) : link('names', `${kind}/${name}`)

const protocols: Readonly<Record<number, string>> = { 1: 'icmp', 6: 'tcp', 17: 'udp', 58: 'icmp6' }

function sessionTable ({ dataplane, names, info }: Pick<AgentServices, 'dataplane' | 'names' | 'info'>): DebugTable {
  let line: Promise<void> = Promise.resolve()
  /** One step over the table in each turn of the event loop, however many pages are read. */
  const turn = async (): Promise<void> => { await (line = line.then(async () => { await new Promise<void>((resolve) => { setImmediate(resolve) }) })) }
  const none = (kind: NameKind, id: number): string | null => id === 0 ? null : names.name(kind, id)
  return debugTable<Seen>({
    name: 'sessions', group: 'dataplane', about: 'A session; of many, a sample of those that pass the filters', source: 'gRPC thread, shared memory',
    columns: {
      id: ['text', s => s.id], protocol: ['text', s => protocols[s.protocol] ?? String(s.protocol)], source: ['address', s => s.source], sport: ['id', s => s.sourcePort], destination: ['address', s => s.destination], dport: ['id', s => s.destinationPort],
      phase: ['text', s => s.phase.toUpperCase()], 'zone-in': ['link', s => link('names', `zone/${names.name('zone', s.zoneIn)}`), 'names'], 'zone-out': ['link', s => link('names', `zone/${names.name('zone', s.zoneOut)}`), 'names'], policy: ['link', s => link('names', `policy/${names.name('policy', s.policy)}`), 'names'],
      vip: ['link', s => link('vips', none('vip', s.vip)), 'vips'], real: ['link', s => link('reals', none('real', s.real)), 'reals'], group: ['link', s => s.rg === 255 ? [] : link('groups', s.rg), 'groups'],
      'reply-source': ['address', s => s.replySource], 'reply-sport': ['id', s => s.replySourcePort], 'reply-destination': ['address', s => s.replyDestination], 'reply-dport': ['id', s => s.replyDestinationPort],
      sent: ['bytes', s => Number(s.bytesForward)], received: ['bytes', s => Number(s.bytesReply)], idle: ['duration', s => s.idleMs], age: ['duration', s => s.ageMs], expires: ['duration', s => s.expiresMs], slot: ['id', s => s.slot]
    },
    count: async () => (await info()).tableLive,
    read: async (ask, signal) => {
      const { sessions } = dataplane()
      if (ask.key !== null) {
        const row = /^[0-9a-f]{32}$/.test(ask.key) ? await sessions.get(ask.key) : null
        return row === null ? [] : [row]
      }
      const filter = filterOf(ask, names)
      if (filter === null) return []
      const some: Seen[] = []
      for (let cursor: number | null = 0; cursor !== null;) {
        await turn()
        signal.throwIfAborted()
        if (some.length >= ask.most) return { part: some, more: Object.keys(filter).length === 0 ? Math.max(0, (await info()).tableLive - some.length) : null }
        const batch: SessionColumns = sessions.list(filter, wanted, cursor, Math.min(ask.most - some.length, BATCH_MAX))
        some.push(...rowsOf(batch))
        cursor = batch.cursor
      }
      return some
    }
  })
}

const BATCH_MAX = 1000

type Seen = Pick<SessionRow, 'id' | 'slot' | 'protocol' | 'source' | 'sourcePort' | 'destination' | 'destinationPort' | 'replySource' | 'replySourcePort' | 'replyDestination' | 'replyDestinationPort' | 'zoneIn' | 'zoneOut' | 'policy' | 'vip' | 'real' | 'rg' | 'phase' | 'bytesForward' | 'bytesReply' | 'idleMs' | 'ageMs' | 'expiresMs'>

const wanted = ['id', 'src', 'dst', 'sport', 'dport', 'proto', 'reply_src', 'reply_dst', 'reply_sport', 'reply_dport', 'zone_in', 'zone_out', 'policy', 'vip', 'real', 'rg', 'phase', 'bytes_forward', 'bytes_reply', 'idle_ms', 'age_ms', 'expires_ms', 'slot'] as const

/** Reads the rows of a batch: each column is one buffer. */
function rowsOf ({ rows, columns }: SessionColumns): Seen[] {
  const { u8, u16, u32, u64, address, id } = cellsOf<typeof wanted[number]>(columns, rows)
  const read = {
    id: id('id'), slot: u32('slot'), protocol: u8('proto'), source: address('src'), sourcePort: u16('sport'), destination: address('dst'), destinationPort: u16('dport'), replySource: address('reply_src'), replySourcePort: u16('reply_sport'),
    replyDestination: address('reply_dst'), replyDestinationPort: u16('reply_dport'), zoneIn: u16('zone_in'), zoneOut: u16('zone_out'), policy: u16('policy'), vip: u16('vip'), real: u16('real'), rg: u8('rg'), phase: u8('phase'),
    bytesForward: u64('bytes_forward'), bytesReply: u64('bytes_reply'), idleMs: u32('idle_ms'), ageMs: u32('age_ms'), expiresMs: u32('expires_ms')
  }
  return Array.from({ length: rows }, (_, i) => ({
    id: read.id(i), slot: read.slot(i), protocol: read.protocol(i), source: read.source(i), sourcePort: read.sourcePort(i), destination: read.destination(i), destinationPort: read.destinationPort(i), replySource: read.replySource(i),
    replySourcePort: read.replySourcePort(i), replyDestination: read.replyDestination(i), replyDestinationPort: read.replyDestinationPort(i), zoneIn: read.zoneIn(i), zoneOut: read.zoneOut(i), policy: read.policy(i), vip: read.vip(i), real: read.real(i),
    rg: read.rg(i), phase: phase[read.phase(i)]?.name ?? '', bytesForward: read.bytesForward(i), bytesReply: read.bytesReply(i), idleMs: read.idleMs(i), ageMs: read.ageMs(i), expiresMs: read.expiresMs(i)
  }))
}

/** What the walk of the table itself can leave out; the rest of the filters is applied to what it finds. `null`: nothing can pass. */
export function filterOf ({ filters, refers }: Pick<DebugAsk, 'filters' | 'refers'>, names: NameBook): SessionFilter | null {
  const out: { -readonly [K in keyof SessionFilter]: SessionFilter[K] } = {}
  const named = (field: 'zoneIn' | 'zoneOut' | 'policy' | 'vip' | 'real', kind: NameKind, name: string): boolean => {
    const id = names.id(kind, name)
    if (id !== null) out[field] = id
    return id !== null
  }
  if (refers !== null) {
    const { table, key } = refers
    if (table === 'groups') out.rg = Number(key)
    const known = table === 'vips' ? named('vip', 'vip', key) : table === 'reals' ? named('real', 'real', key) : table === 'names' && key.startsWith('policy/') ? named('policy', 'policy', key.slice(7)) : true
    if (!known) return null
  }
  for (const { column, text } of filters) {
    const exact = text.startsWith('=') ? text.slice(1) : null
    if ((column === 'source' || column === 'destination') && prefixOf(text) !== null) out[column] = prefixOf(text) ?? ''
    const port = /^=?(\d{1,5})$/.exec(text)?.[1]
    if ((column === 'sport' || column === 'dport') && port !== undefined && Number(port) <= 0xffff) out[column === 'sport' ? 'sourcePort' : 'destinationPort'] = Number(port)
    if (exact === null) continue
    if (column === 'vip' && !named('vip', 'vip', exact)) return null
    if (column === 'real' && !named('real', 'real', exact)) return null
    if (column === 'phase' && phase.some(({ name }) => name.toUpperCase() === exact)) out.phases = [exact]
    const protocol = Object.entries(protocols).find(([, name]) => name === exact)?.[0]
    if (column === 'protocol' && protocol !== undefined) out.protocol = Number(protocol)
  }
  return out
}

function prefixOf (text: string): string | null {
  if (text.startsWith('=')) return parseAddress(text.slice(1)) === null ? null : text.slice(1)
  return text.includes('/') && parsePrefix(text) !== null ? text : null
}
