/**
 * Main thread's end of the cluster, whose node lives in the sync thread: keys from their files, facts and monitors to it, announcements and
 * configurations from it, events kept for whoever watches.
 */
import { hkdfSync } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import type { HaFacts } from '../contract/dataplane.js'
import type { ClusterControl, ClusterEvent, ClusterSettings, ClusterStatus } from '../contract/cluster.js'
import type { Desired } from '../contract/desired.js'
import { LockstepError } from '../contract/errors.js'
import { clusterHash } from '../config/index.js'
import type { Followed } from '../config/authority.js'
import { startMonitors, type GroupMonitors, type MonitorFacts } from '../ha/monitors.js'
import type { Self } from '../ha/sync/engine.js'
import type { Credentials } from '../ha/sync/socket.js'
import { causeOf } from '../lib/cause-of.js'
import { monotonicMs } from '../lib/monotonic.js'
import type { WorkBook } from '../lib/work.js'
import { Caller } from './bridge.js'
import type { ClusterCalls, ClusterPush, GroupFacts } from './cluster.js'
import { exchangeConfigs } from './config-exchange.js'
import { exchangeRings } from './ring-exchange.js'
import type { SyncThread } from './sync-thread.js'

const FACTS_MS = 500
const KEY_BYTES_MIN = 32
const RESIGN_MS = 5000

export interface ClusterThreadOptions {
  readonly sync: SyncThread
  readonly desired: Desired
  readonly generation: number
  readonly table: { readonly origin: Uint8Array, readonly capacity: number }
  /** Abstract socket of whoever keeps the leases. */
  readonly heart: string
  readonly stateDirectory: string
  readonly outlives: boolean
  readonly groupFacts: (rg: number) => HaFacts
  readonly monitorFacts: MonitorFacts
  /** The addresses of a group are here from now on, or no more. */
  readonly announce: (rg: number, on: boolean) => void
  readonly config: { readonly shared: () => Followed | null, readonly follow: (peer: Followed, signal: AbortSignal) => Promise<void>, readonly renumber: (least: number, signal: AbortSignal) => Promise<void> }
  /** VIP -> hash of the ring in force. */
  readonly rings: () => ReadonlyMap<string, bigint>
  readonly onEvent: (event: ClusterEvent) => void
  /** Told of the wait before a refused configuration is sent again. */
  readonly work?: WorkBook
  /** Of the log that `onEvent` fills. */
  readonly watch: ClusterControl['watch']
}

export interface ClusterThread {
  readonly control: ClusterControl
  /** Another generation is in force here. */
  readonly applied: (desired: Desired, generation: number) => void
  /** Another dataplane forwards: whether it goes on without its agent, and who keeps its leases. */
  readonly moved: (outlives: boolean, heart: string) => void
  /** Why the cluster is not as it should be, one line each. */
  readonly degraded: () => readonly string[]
  /** Who owns group 0, as far as this node knows; `null`: nobody. */
  readonly authority: () => Promise<string | null>
  /** Groups go to the peer, where they can. */
  readonly resign: () => Promise<void>
  readonly close: () => void
}

/** @throws invalid LS_H_KEY, LS_H_CERTIFICATE: a file that is missing, unreadable or too short. */
export async function startCluster (o: ClusterThreadOptions): Promise<ClusterThread> {
  const settings = o.desired.cluster
  if (settings === null) throw new LockstepError('bug', 'LS_E_BUG', 'a cluster without settings')
  const { node } = o.desired.agent
  const peer = settings.nodes.find(n => n.name !== node)?.name ?? ''
  const key = readKey(settings.keyFile)
  const derived = (use: string): Uint8Array => new Uint8Array(hkdfSync('sha256', key, new Uint8Array(0), `lockstep ${use}`, 32))
  const selfOf = (desired: Desired, generation: number): Self => ({ node, table: o.table.origin, generation, ids: clusterHash(desired), capacity: o.table.capacity })
  const descriptions = (d: Desired): Record<number, string> => Object.fromEntries(d.redundancyGroups.map(g => [g.id, g.description]))

  const troubles = new Map<string, string>([['peer', `cluster: ${peer} has not been heard yet`]])
  const tell = (event: ClusterEvent): void => {
    noteTrouble(troubles, event)
    o.onEvent(event)
    exchange.look()
  }
  let desired = o.desired
  const port = await o.sync.cluster({
    node, settings, descriptions: descriptions(desired), self: selfOf(desired, o.generation), credentials: credentialsOf(settings, derived('sync'), peer), heartKey: derived('heartbeat'),
    heart: o.heart, stateDirectory: o.stateDirectory, outlives: o.outlives
  })
  const calls = new Caller<ClusterCalls>(port, (value) => {
    const message = value as ClusterPush
    if (message.kind === 'event') tell(message.event)
    else if (message.kind === 'announce') o.announce(message.rg, message.on)
    else if (message.type === 'rings') rings.received(message.body)
    else exchange.received(message.type, message.body)
  })
  const status = async (): Promise<ClusterStatus> => ({ ...await calls.call('status', []), rings: rings.status() })

  const rings = exchangeRings({
    nowMs: monotonicMs, mine: o.rings, say: async (body) => await calls.call('say', ['rings', body]),
    onDiffer: (vips) => { tell({ at: Date.now(), name: vips.length > 0 ? 'rings.differ' : 'rings.equal', rg: null, peer, fields: vips.length > 0 ? { vips: vips.length, first: vips[0] ?? '' } : {} }) }
  })

  const exchange = exchangeConfigs({
    ...o.config,
    say: async (type, body) => await calls.call('say', [type, body]),
    wanted: async (inAnyCase) => {
      const s = await status()
      const mine = o.config.shared()
      return s.groups.find(g => g.rg === 0)?.owner === node && (s.sync.state === 'differs' || (s.sync.state === 'up' && (inAnyCase || (mine !== null && s.peers[0]?.generation !== null && s.peers[0]?.generation !== mine.generation))))
    },
    onAnswer: (generation, refusal, againMs) => {
      if (refusal === '') o.work?.settled('configuration', peer)
      else o.work?.wait('configuration', peer, againMs, refusal)
      tell({ at: Date.now(), name: refusal === '' ? 'config.followed' : 'config.refused', rg: null, peer, fields: { generation, ...(refusal === '' ? {} : { reason: refusal }) } })
    },
    onFollowed: (generation, refusal) => { tell({ at: Date.now(), name: refusal === '' ? 'config.applied' : 'config.failed', rg: null, peer, fields: { generation, ...(refusal === '' ? {} : { reason: refusal }) } }) }
  })

  const monitored = new Map<number, GroupMonitors>()
  let factsSaid = ''
  const downBefore = new Map<number, readonly string[]>()
  /** A link that is back may lead through switches and hosts that missed the announcements. Of a group that is not owned nothing is sent. */
  const noteLinks = (rg: number, down: readonly string[]): void => {
    if (downBefore.get(rg)?.some(name => !down.includes(name)) === true) o.announce(rg, true)
    downBefore.set(rg, down)
  }
  const face = (): void => {
    const groups: GroupFacts[] = (desired.cluster?.groups ?? []).map(({ rg }) => {
      const { interfacesDown, nextHopsUnresolved, alarms } = o.groupFacts(rg)
      noteLinks(rg, interfacesDown)
      const { lostWeight, down } = monitored.get(rg) ?? { lostWeight: 0, down: [] }
      return { rg, interfacesDown: interfacesDown.length, nextHopsUnresolved, alarms, lostWeight, monitorsDown: down }
    })
    const text = JSON.stringify(groups)
    if (text === factsSaid) return
    factsSaid = text
    void calls.call('facts', [groups]).catch(() => undefined)
  }
  const monitors = startMonitors(settings.groups, o.monitorFacts, (rg, result) => {
    monitored.set(rg, result)
    face()
  })
  face()
  const timer = setInterval(face, FACTS_MS)
  timer.unref()

  const control: ClusterControl = {
    status,
    switchover: async (rgs, to, signal) => await calls.call('switchover', [rgs, to], signal),
    hold: async (rgs) => await calls.call('hold', [rgs]),
    release: async (rgs) => await calls.call('release', [rgs]),
    reset: async (rgs) => await calls.call('reset', [rgs]),
    repairs: async () => await calls.call('repairs', []),
    resync: async (rgs, signal) => await calls.call('resync', [rgs], signal),
    verify: async (rgs, signal) => await calls.call('verify', [rgs], signal),
    watch: o.watch
  }
  return {
    control,
    applied: (now, generation) => {
      desired = now
      if (now.cluster === null) return // told as a warning: it holds from the next start
      monitors.replace(now.cluster.groups)
      void calls.call('update', [{ settings: now.cluster, descriptions: descriptions(now), self: selfOf(now, generation) }]).then(exchange.look, () => undefined)
    },
    moved: (outlives, heart) => {
      void calls.call('moved', [outlives, heart]).catch((error: unknown) => { tell({ at: Date.now(), name: 'heartbeat', rg: null, peer: null, fields: { problem: `no heart after the change of backend: ${causeOf(error)}` } }) })
    },
    degraded: () => [...troubles.values()],
    authority: async () => (await status().catch(() => null))?.groups.find(g => g.rg === 0)?.owner ?? null,
    resign: async () => { await calls.call('resign', [], AbortSignal.timeout(RESIGN_MS)).catch(() => undefined) },
    close: () => {
      clearInterval(timer)
      exchange.close()
      rings.close()
      monitors.close()
      port.close()
    }
  }
}

/** What is wrong until something says that it is not. */
function noteTrouble (troubles: Map<string, string>, { name, peer, fields }: ClusterEvent): void {
  const reason = String(fields.reason ?? fields.problem ?? '')
  switch (name) {
    case 'sync.connected': case 'sync.resumed': troubles.delete('sync'); break
    case 'sync.lost': case 'sync.refused': case 'sync.differs': case 'sync.problem': troubles.set('sync', `cluster: sessions are not replicated: ${reason}`); break
    case 'peer':
      if (fields.to === 'lost') troubles.set('peer', `cluster: ${peer ?? 'the peer'} is lost`)
      else if (fields.to === 'alive') {
        troubles.delete('peer')
        troubles.delete('heartbeat')
      }
      break
    case 'heart':
      if (fields.state === 'gone') troubles.set('heart', 'cluster: whoever keeps the leases (the keeper with ebpf) cannot be reached: this node loses its groups')
      else troubles.delete('heart')
      break
    case 'heartbeat': troubles.set('heartbeat', `cluster: heartbeats: ${reason}`); break
    case 'epochs':
      if (reason === '') troubles.delete('epochs')
      else troubles.set('epochs', `cluster: ${reason}`)
      break
    case 'outdated':
      if (fields.newer === null) troubles.delete('outdated')
      else troubles.set('outdated', `cluster: generation ${String(fields.generation)} is older than ${String(fields.newer)}, which was heard of: this node takes no group until it has that one, or lockstep cluster reset --all`)
      break
    case 'config.refused': troubles.set('config', `cluster: ${peer ?? 'the peer'} does not apply generation ${fields.generation ?? ''}: ${reason}`); break
    case 'config.followed': troubles.delete('config'); break
    case 'rings.differ': troubles.set('rings', `cluster: ${fields.vips ?? 0} VIPs spread new flows otherwise than at ${peer ?? 'the peer'}, ${fields.first ?? ''} first: one of the nodes does not reach their reals`); break
    case 'rings.equal': troubles.delete('rings'); break
    default:
  }
}

function read (path: string, object: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    throw new LockstepError('invalid', 'LS_H_KEY', 'a file of the cluster cannot be read', { object, found: `${path}: ${(error as Error).message}`, next: 'both nodes need it, readable by the agent' }, error)
  }
}

function readKey (path: string): Buffer {
  const key = read(path, 'cluster.key-file')
  if (key.length < KEY_BYTES_MIN) throw new LockstepError('invalid', 'LS_H_KEY', 'the key is too short', { object: `cluster.key-file ${path}`, found: `${key.length} bytes`, expected: `${KEY_BYTES_MIN} or more`, next: 'head -c 32 /dev/urandom > FILE, and the same file on both nodes' })
  if ((statSync(path).mode & 0o077) !== 0) throw new LockstepError('invalid', 'LS_H_KEY', 'the key can be read by others', { object: `cluster.key-file ${path}`, next: `chmod 600 ${path}` })
  return key
}

function credentialsOf ({ certificates }: ClusterSettings, key: Uint8Array, peerName: string): Credentials {
  if (certificates === null) return { kind: 'psk', key }
  const { certificate, key: secret, authority } = certificates
  const text = (path: string, name: string): string => read(path, `cluster.certificates.${name}`).toString('utf8')
  return { kind: 'certificates', cert: text(certificate, 'certificate'), key: text(secret, 'key'), ca: text(authority, 'authority'), peerName }
}
