/** The status of a pair as text and JSON. */
import type { ClusterGetStatusResponse, ClusterGroup, ClusterRings, ClusterSync, ClusterTotal, RgRole, RoleChange } from '../../generated/proto/lockstep/v1/cluster.js'
import { bytes, duration, time } from '../format.js'
import { enumWord } from '../../client/index.js'
import { fields, table, type TableColumn, type TableStyle } from '../table.js'

const roleWord = (role: RgRole): string => enumWord('RG_ROLE', role)
export const livenessWord = (liveness: string): string => enumWord('PEER_LIVENESS', liveness)

/** How long ago; `-`: never. */
export const age = (atMs: bigint | undefined, nowMs: number): string => atMs === undefined ? '-' : `${duration(Math.max(0, nowMs - Number(atMs)))} ago`

export type GroupChange = { readonly rg: number } & RoleChange

const objectOf = (totals: readonly ClusterTotal[]): Record<string, bigint> => Object.fromEntries(totals.map(({ kind, value }) => [kind, value]))
export const changeJson = (change: RoleChange): Record<string, unknown> => ({ ...change, from: roleWord(change.from), to: roleWord(change.to) })

/** As the message, with words for enumerations, objects for totals and null for what is not known. */
export function statusJson ({ sync, ...status }: ClusterGetStatusResponse): Record<string, unknown> {
  return {
    ...status, rings: status.rings ?? null,
    peers: status.peers.map((p) => ({ ...p, liveness: livenessWord(p.liveness), paths: p.paths.map((path) => ({ ...path, liveness: livenessWord(path.liveness) })), agent: p.agent === '' ? null : p.agent, generation: p.generation ?? null })),
    sync: sync === undefined ? null : { ...sync, state: enumWord('SYNC_STATE', sync.state), lagMs: sync.lagMs ?? null, path: sync.path ?? null, sent: objectOf(sync.sent), received: objectOf(sync.received) },
    groups: status.groups.map((g) => ({
      ...g, role: roleWord(g.role), owner: g.owner === '' ? null : g.owner, move: g.move ?? null, provenEqualAtMs: g.provenEqualAtMs ?? null,
      peer: g.peer === undefined ? null : { ...g.peer, role: roleWord(g.peer.role) }, history: g.history.map(changeJson)
    }))
  }
}

/** Groups, then the peer and its paths, then replication. */
export function statusText (s: ClusterGetStatusResponse, style: TableStyle, nowMs: number): string {
  const peers = s.peers.flatMap((p): Array<readonly [string, string]> => [
    ['peer', `${p.node}: ${livenessWord(p.liveness)}${p.agent === '' ? '' : `, agent ${p.agent}`}${p.generation === undefined ? '' : `, generation ${p.generation}`}`],
    ['paths', p.paths.map(({ path, liveness }) => `${path} ${livenessWord(liveness)}`).join(', ')]
  ])
  return `${table(groupTable(nowMs), s.groups, style)}\n${fields([['node', `${s.node}, index ${s.nodeIndex}, generation ${s.generation}`], ...peers, ...(s.sync === undefined ? [] : syncFields(s.sync)), ...ringFields(s.rings)])}`
}

/** Of a pair with VIPs. */
function ringFields (rings: ClusterRings | undefined): Array<readonly [string, string]> {
  if (rings === undefined || rings.equal + rings.differing.length === 0) return []
  const some = rings.differing.slice(0, 8).join(', ')
  return [['rings', rings.differing.length === 0 ? `${rings.equal} equal` : `${rings.equal} equal, ${rings.differing.length} differ: ${some}${rings.differing.length > 8 ? ', ...' : ''}`]]
}

export const groupTable = (nowMs: number): ReadonlyArray<TableColumn<ClusterGroup>> => [
  { title: 'RG', value: (g) => String(g.rg), align: 'right' },
  { title: 'ROLE', value: roleText },
  { title: 'OWNER', value: (g) => (g.owner === '' ? '-' : g.owner) },
  { title: 'EPOCH', value: (g) => String(g.epoch), align: 'right', drop: 3 },
  { title: 'PRIO', value: (g) => (g.effectivePriority === g.priority ? String(g.priority) : `${g.effectivePriority} of ${g.priority}`), align: 'right', drop: 2 },
  { title: 'READY', value: readyText },
  { title: 'PROVEN', value: (g) => age(g.provenEqualAtMs, nowMs), align: 'right', ticks: true },
  { title: 'SESSIONS', value: (g) => String(g.sessions), align: 'right' },
  { title: 'PEER', value: peerText },
  { title: 'DESCRIPTION', value: (g) => g.description, drop: 4 }
]

function roleText (g: ClusterGroup): string {
  return roleWord(g.role) + (g.move === undefined ? '' : ` (${g.move.phase})`) + (g.pinned ? ', pinned' : '')
}

function readyText (g: ClusterGroup): string {
  const why = [...g.holds.map((hold) => `hold ${hold}`), ...g.reasons, ...g.monitorsDown.map((monitor) => `monitor ${monitor}`)]
  return `${g.ready && g.holds.length === 0 ? 'yes' : 'no'}${why.length === 0 ? '' : `: ${why.join(', ')}`}`
}

function peerText ({ peer }: ClusterGroup): string {
  if (peer === undefined) return '-'
  return `${roleWord(peer.role)}${peer.ready ? ', ready' : peer.reasons.length === 0 ? '' : `: ${peer.reasons.join(', ')}`}`
}

function syncFields (sync: ClusterSync): Array<readonly [string, string]> {
  const ms = (value: number): string => `${value.toFixed(1)} ms`
  const { differences = 0n, repairs = 0n, bulks = 0n } = objectOf(sync.received)
  const state = enumWord('SYNC_STATE', sync.state)
  const lag = [sync.lagMs === undefined ? 'no stream' : `now ${ms(sync.lagMs)}`, ...(sync.lag === undefined || sync.lag.count === 0n ? [] : [`p50 ${ms(sync.lag.p50Ms)}`, `p99 ${ms(sync.lag.p99Ms)}`])]
  return [
    ['sync', `${state}${sync.refusal === '' ? '' : `: ${sync.refusal}`}${sync.address === '' ? '' : `, path ${sync.path ?? 0}, ${sync.address}`}`],
    ['lag', `${lag.join(', ')}; ${bytes(sync.aheadBytes)}B ahead`],
    ['found', `differences ${differences}, repairs ${repairs}, whole groups ${bulks}`]
  ]
}

export function historyTable (changes: readonly GroupChange[], style: TableStyle): string {
  return table<GroupChange>([
    { title: 'TIME', value: (c) => time(c.atMs) }, { title: 'RG', value: (c) => String(c.rg), align: 'right' }, { title: 'FROM', value: (c) => roleWord(c.from) },
    { title: 'TO', value: (c) => roleWord(c.to) }, { title: 'EPOCH', value: (c) => String(c.epoch), align: 'right' }, { title: 'WHY', value: (c) => c.code }
  ], changes, style)
}
