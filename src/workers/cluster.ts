/**
 * The sync thread's share of a cluster: the node of src/ha over its table, its heart, its peer and its disk. A thin shell: what happens outside becomes
 * an event of the node, what the node wants is done.
 */
import { LockstepError } from '../contract/errors.js'
import type { Endpoint, ClusterEvent, ClusterGroup, ClusterGroupStatus, ClusterRepair, ClusterSettings, ClusterStatus, CommandResult, RoleChange, VerifyResult } from '../contract/cluster.js'
import type { OwnershipConfig, OwnershipNote } from '../ha/events.js'
import { openHeart, type HeartLink } from '../ha/heart/link.js'
import { leaseStampNs } from '../ha/lease.js'
import { defaultTimers } from '../ha/limits.js'
import { HaNode, type HostFacts, type NodeWorld } from '../ha/node.js'
import { claims, type NodeStatus } from '../ha/rg.js'
import { holdsOf, readinessOf, rivalsOf, statusOf, type RgState } from '../ha/state.js'
import type { Self } from '../ha/sync/engine.js'
import type { Credentials } from '../ha/sync/socket.js'
import { frameType } from '../ha/sync/protocol.js'
import { effectivePriority } from '../ha/weight.js'
import { monotonicMs } from '../lib/monotonic.js'
import { sessionIds } from '../lib/session-id.js'
import type { NativeTable } from '../native/binding.js'
import { roleNumbers } from '../native/roles.js'
import { EpochFile } from './epochs.js'
import { openPair, type Pair, type PairShell } from './pair.js'

export interface ClusterSpec {
  readonly node: string
  readonly settings: ClusterSettings
  readonly descriptions: Readonly<Record<number, string>>
  readonly self: Self
  readonly credentials: Credentials
  /** Authenticates heartbeats, 32 bytes. */
  readonly heartKey: Uint8Array
  /** Abstract socket of whoever keeps the leases. */
  readonly heart: string
  readonly stateDirectory: string
  /** The dataplane forwards on without its agent. */
  readonly outlives: boolean
}

/** What a new generation changes. */
export interface ClusterUpdate { readonly settings: ClusterSettings, readonly descriptions: Readonly<Record<number, string>>, readonly self: Self }
export interface GroupFacts extends Omit<HostFacts, 'keeperAlive' | 'blockingAlarms'> { readonly rg: number, readonly alarms: readonly string[], readonly lostWeight: number, readonly monitorsDown: readonly string[] }

/** What the main threads of two nodes say to each other. */
export const peerMessages = ['config', 'configAck', 'rings'] as const
export type PeerMessage = typeof peerMessages[number]

/** Main thread -> cluster. A signal, where there is one, stands last. */
export interface ClusterCalls {
  /** Less what the main thread knows. */
  readonly status: () => Omit<ClusterStatus, 'rings'>
  readonly switchover: (rgs: readonly number[], to: string, signal: AbortSignal) => Promise<CommandResult>
  readonly hold: (rgs: readonly number[]) => CommandResult
  readonly release: (rgs: readonly number[]) => CommandResult
  readonly reset: (rgs: readonly number[]) => CommandResult
  readonly resync: (rgs: readonly number[], signal: AbortSignal) => Promise<readonly VerifyResult[]>
  readonly verify: (rgs: readonly number[], signal: AbortSignal) => Promise<readonly VerifyResult[]>
  readonly repairs: () => readonly ClusterRepair[]
  /** This node ends: groups go to the peer if they can, and leases end if they cannot. */
  readonly resign: (signal: AbortSignal) => Promise<void>
  readonly update: (update: ClusterUpdate) => void
  readonly facts: (groups: readonly GroupFacts[]) => void
  /** Another dataplane forwards: whether it goes on without its agent, and who keeps its leases. */
  readonly moved: (outlives: boolean, heart: string) => void
  /** False: the peer does not hear it. */
  readonly say: (type: PeerMessage, body: Uint8Array) => boolean
}

/** Cluster -> main thread. */
export type ClusterPush =
  | { readonly kind: 'event', readonly event: ClusterEvent }
  /** The addresses of a group are here from now on, or no more. */
  | { readonly kind: 'announce', readonly rg: number, readonly on: boolean }
  /** From the peer. */
  | { readonly kind: 'message', readonly type: PeerMessage, readonly body: Uint8Array }

export interface ClusterShell extends Omit<PairShell, 'onEvent' | 'onProblem'> {
  readonly table: NativeTable
  readonly push: (message: ClusterPush) => void
}

export interface Cluster {
  readonly calls: ClusterCalls
  readonly drained: (records: Uint8Array, n: number, overruns: number, dry: boolean) => void
  /** True: again at once. */
  readonly tick: () => boolean
  /** In how many milliseconds a peer may be lost, or something else is due. */
  readonly dueMs: () => number
  readonly close: () => Promise<void>
}

const HISTORY = 32
/** Time for whoever keeps the leases to be there. */
const HEART_MS = 1000
/** Unix time of a moment of CLOCK_MONOTONIC. */
const wall = (atMs: number): number => Math.round(Date.now() - (monotonicMs() - atMs))

const ownershipOf = ({ node, settings, self }: Pick<ClusterSpec, 'node' | 'settings' | 'self'>, bootId: string): OwnershipConfig => ({
  node, nodeIndex: settings.nodes.find(n => n.name === node)?.index ?? 0, bootId, peers: settings.nodes.filter(n => n.name !== node).map(n => n.name), witness: false,
  timing: settings.timing, timers: { ...defaultTimers, ...settings.timers }, generation: BigInt(self.generation), rgs: groupsOf(node, settings)
})
const addressOf = ({ host, port }: Endpoint): { readonly address: string, readonly port: number } => ({ address: host, port })
const groupsOf = (node: string, settings: ClusterSettings): OwnershipConfig['rgs'] => settings.groups.map(({ rg, priority, preempt }) => ({ rg, priority: priority[node] ?? 100, preempt }))

/** Until the heart says which groups it kept, this node owns nothing. */
export async function openCluster (first: ClusterSpec, shell: ClusterShell): Promise<Cluster> {
  const spec = { ...first }
  const { table } = shell
  const event = (name: string, fields: ClusterEvent['fields'] = {}, rg: number | null = null, peer: string | null = null): void => { shell.push({ kind: 'event', event: { at: Date.now(), name, rg, peer, fields } }) }
  const { file, epochs, problem } = await EpochFile.open(spec.stateDirectory)
  if (problem !== null) event('epochs', { problem })
  const mine = spec.settings.nodes.find(n => n.name === spec.node)
  const other = spec.settings.nodes.find(n => n.name !== spec.node)
  if (mine === undefined || other === undefined) throw new LockstepError('invalid', 'LS_H_NODES', 'this node is no node of the cluster', { object: 'cluster.nodes', found: spec.node, expected: spec.settings.nodes.map(n => n.name).join(', ') })

  const shown = new Map<number, string>()
  const history = new Map<number, RoleChange[]>()
  const down = new Map<number, readonly string[]>()
  const moves = new Moves()
  /** Heartbeats, by path. */
  const heard = new Map<string, number>()
  let heart: HeartLink | null = null
  let keeper = false
  let groups: readonly GroupFacts[] = []
  let node: HaNode | null = null
  let begun = false
  let closing = false
  const writing = new Set<number>()
  /** What stands in the way of owning anything. */
  const alarms = new Set<'epochs'>()
  /** Under way: the table stays open for them. */
  const graces = new Set<Promise<void>>()

  const setRole: NodeWorld['setRole'] = (rg, role, epoch, leaseDeadlineMs) => {
    // Who says a role begins its lease; whoever keeps leases renews it.
    const text = `${role} ${epoch}`
    if (shown.get(rg) === text) return
    shown.set(rg, text)
    table.setRole(rg, roleNumbers[role], epoch, leaseStampNs(leaseDeadlineMs))
  }
  const leaseEnded: NodeWorld['leaseEnded'] = (rg, epoch) => {
    const group = table.groups()[rg]
    return group?.epoch === epoch && group.leaseDeadlineNs < process.hrtime.bigint()
  }
  const persist: NodeWorld['persist'] = (rg, epoch) => {
    if (writing.has(rg)) return // it is asked again
    writing.add(rg)
    void file.write(rg, epoch).then(() => {
      if (alarms.delete('epochs')) event('epochs', { problem: '' })
      node?.persisted(rg, epoch)
    }, (error: unknown) => {
      if (!alarms.has('epochs')) event('epochs', { problem: `an epoch cannot be written, and without it this node takes no group: ${(error as Error).message}` })
      alarms.add('epochs')
    }).finally(() => {
      writing.delete(rg)
      applyFacts()
    })
  }
  const note = (n: OwnershipNote): void => {
    const rg = 'rg' in n ? n.rg : null
    if (n.name === 'role') {
      history.set(n.rg, [...history.get(n.rg) ?? [], { at: Date.now(), from: n.from, to: n.to, epoch: n.epoch, code: n.code }].slice(-HISTORY))
    }
    moves.noted(n)
    event(n.name, fieldsOf(n), rg, 'peer' in n ? n.peer : 'node' in n ? n.node : null)
  }

  const pair: Pair = openPair({
    self: spec.self, credentials: spec.credentials, windowBytes: null, owned: 0, epochs: [],
    ...(mine.index < other.index ? { listen: mine.sync, dial: [], expected: other.sync.map(({ host }) => host) } : { listen: [], dial: other.sync })
  }, { ...shell, onProblem: (text) => { event('sync.problem', { problem: text }) }, onEvent: (name, fields) => { event(name, fields, typeof fields.rg === 'number' ? fields.rg : null, typeof fields.peer === 'string' ? fields.peer : null) } }, (o) => {
    node = new HaNode({
      ...o, ownership: ownershipOf(spec, ''),
      world: {
        ...o.world, setRole, leaseEnded, persist, note,
        say: (status) => { if (begun) heart?.say(status) },
        catchUp: (turn) => { heart?.ask(turn) },
        announce: (rg) => { shell.push({ kind: 'announce', rg, on: true }) }, withdraw: (rg) => { shell.push({ kind: 'announce', rg, on: false }) },
        grace: (turn) => {
          const through = table.grace().then(() => { if (!closing) node?.graced(turn) }).finally(() => { graces.delete(through) })
          graces.add(through)
        },
        message: (type, body) => {
          const known = peerMessages.find(name => frameType[name] === type)
          if (known !== undefined) shell.push({ kind: 'message', type: known, body: body.slice() })
        }
      }
    })
    return node.engine
  })
  const ha = node as HaNode | null
  if (ha === null) throw new LockstepError('bug', 'LS_E_BUG', 'a cluster without a node')

  const applyFacts = (): void => {
    for (const { rg, lostWeight, monitorsDown, alarms: own, ...facts } of groups) {
      ha.facing(rg, { ...facts, keeperAlive: keeper, blockingAlarms: [...alarms, ...own] })
      if (begun) ha.monitors(rg, lostWeight)
      down.set(rg, monitorsDown)
    }
  }
  const openLink = (): HeartLink => openHeart(spec.heart, {
    onHello: (bootId, resumed, held) => {
      keeper = true
      event('heart', { state: 'connected' })
      ha.booted(bootId)
      if (!begun) {
        begun = true
        ha.outlives(spec.outlives)
        ha.started(epochs, resumed ? held : [])
      }
      applyFacts()
      heart?.say(statusOf(ha.ownership, 0n))
    },
    onHeard: (path: string, status: NodeStatus, atMs: number) => {
      heard.set(path, (heard.get(path) ?? 0) + 1)
      if (begun) ha.heard(path, status, atMs)
    },
    onLapsed: (rgs) => { ha.lapsed(rgs) },
    onAnswer: (turn, awakeSinceMs) => { ha.caughtUp(turn, awakeSinceMs) },
    onProblem: (text) => { event('heartbeat', { problem: text }) },
    onGone: () => {
      keeper = false
      if (closing) return
      applyFacts()
      event('heart', { state: 'gone' })
    }
  })
  const listen = (): void => {
    heart = openLink()
    setTimeout(() => { if (!keeper && !closing) event('heart', { state: 'gone' }) }, HEART_MS).unref()
    const paths = mine.heartbeats.map((local, i) => ({ name: String(i), local: addressOf(local), remote: addressOf(other.heartbeats[i] ?? local) }))
    heart.setup({ nodeIndex: mine.index, timing: spec.settings.timing, key: spec.heartKey, paths })
  }
  try {
    listen()
  } catch (error) {
    await pair.close()
    throw error
  }

  let outdated = false
  /** Held back by a configuration that only a node has that is lost: an operator has to know. */
  const tellOutdated = (): void => {
    const now = ha.ownership.config.generation < ha.ownership.generationSeen
    if (now !== outdated) event('outdated', { generation: String(ha.ownership.config.generation), newer: now ? String(ha.ownership.generationSeen) : null })
    outdated = now
  }

  const all = (rgs: readonly number[]): readonly number[] => rgs.length > 0 ? rgs : ha.ownership.rgs.map(rg => rg.config.rg)
  const known = (rgs: readonly number[]): CommandResult => ({
    done: all(rgs).filter(rg => ha.ownership.rgs.some(r => r.config.rg === rg)),
    refused: all(rgs).filter(rg => !ha.ownership.rgs.some(r => r.config.rg === rg)).map(rg => ({ rg, reasons: ['unknown-group'] }))
  })
  const plainly = (kind: 'hold' | 'release' | 'reset') => (rgs: readonly number[]): CommandResult => {
    const result = known(rgs)
    ha.command({ kind, rgs: result.done })
    return result
  }

  const switchover: ClusterCalls['switchover'] = async (rgs, to, signal) => {
    if (to !== mine.name && to !== other.name) throw new LockstepError('invalid', 'LS_H_NODE', 'there is no such node', { object: 'node', found: to, expected: `${mine.name} or ${other.name}` })
    const { done: wanted, refused } = known(rgs)
    const there = wanted.filter(rg => ownerOf(ha, rg) === to)
    const moving = wanted.filter(rg => !there.includes(rg))
    const ended = moves.wait(moving, signal)
    ha.command({ kind: 'switchover', rgs: moving, to })
    const result = await ended
    return { done: [...there, ...result.done].sort((a, b) => a - b), refused: [...refused, ...result.refused] }
  }

  const compare = async (rg: number, whole: boolean, signal: AbortSignal): Promise<VerifyResult> => {
    const began = monotonicMs()
    const before = pair.report(false).received.differences
    const group = ha.ownership.rgs.find(r => r.config.rg === rg)
    if (group !== undefined && claims(group.role)) throw new LockstepError('invalid', 'LS_H_OWNER', 'this node owns the group: whoever does not compares', { object: `group ${rg}`, found: group.role, next: `ask ${other.name}` })
    if (!whole) ha.engine.wantCut(rg)
    else if (ha.engine.state === 'up') ha.engine.bulk(rg)
    else throw new LockstepError('unavailable', 'LS_H_PEER', 'the peer is not connected: there is nobody to take the group from', { object: `group ${rg}`, found: `sync ${ha.engine.state}`, next: 'lockstep cluster status says why' })
    const equal = (): boolean => (ha.engine.group(rg)?.equalAtMs ?? -1) >= began
    while (!equal() && !signal.aborted) await new Promise(resolve => { setTimeout(resolve, 10) })
    const copy = ha.engine.group(rg)
    return { rg, equal: equal(), sessions: pair.items(rg), differences: pair.report(false).received.differences - before, provenEqualAt: copy?.provenAtMs == null ? null : wall(copy.provenAtMs), tookMs: monotonicMs() - began }
  }

  /** Those named, or every group that this node does not own. */
  const copies = (rgs: readonly number[]): readonly number[] => {
    const { done } = known(rgs)
    return rgs.length > 0 ? done : done.filter(rg => ownerOf(ha, rg) !== mine.name)
  }

  const status: ClusterCalls['status'] = () => {
    const { state, refusal, lagMs, aheadBytes, sent, received, path, redial, lag } = pair.report(false)
    const s = ha.ownership
    return {
      node: spec.node, nodeIndex: mine.index, bootId: s.config.bootId, generation: Number(s.config.generation),
      peers: s.peers.map(p => ({
        node: p.node, liveness: p.known, paths: other.heartbeats.map((_, i) => ({ path: String(i), liveness: p.paths.find(path => path.path === String(i))?.known ?? 'unseen', heard: heard.get(String(i)) ?? 0 })),
        agent: p.status?.agent ?? null, generation: p.status === null ? null : Number(p.status.generation), bootId: p.detector.bootId
      })),
      sync: { state, refusal, path, lagMs, lag, aheadBytes, redial, sent, received },
      groups: s.rgs.map(rg => groupStatus(ha, rg, spec, { down: down.get(rg.config.rg) ?? [], history: history.get(rg.config.rg) ?? [], sessions: pair.items(rg.config.rg) }))
    }
  }

  return {
    calls: {
      status, switchover, hold: plainly('hold'), release: plainly('release'), reset: plainly('reset'),
      repairs: () => ha.engine.repairs.map(({ atMs, askedIds, endedIds, ...r }) => ({ ...r, at: wall(atMs), askedIds: sessionIds(askedIds), endedIds: sessionIds(endedIds) })).reverse(),
      verify: async (rgs, signal) => await Promise.all(copies(rgs).map(async rg => await compare(rg, false, signal))),
      resync: async (rgs, signal) => await Promise.all(copies(rgs).map(async rg => await compare(rg, true, signal))),
      resign: async (signal) => {
        const owned = ha.ownership.rgs.filter(rg => claims(rg.role)).map(rg => rg.config.rg)
        if (owned.length > 0 && ha.engine.state === 'up') await switchover(owned, other.name, signal).catch(() => undefined)
        heart?.resign()
      },
      update: ({ settings, descriptions, self }) => {
        Object.assign(spec, { settings: { ...spec.settings, groups: settings.groups }, descriptions, self })
        ha.configured(self.generation, groupsOf(spec.node, settings), self)
      },
      facts: (now) => {
        groups = now
        applyFacts()
      },
      moved: (outlives, name) => {
        Object.assign(spec, { outlives, heart: name })
        heart?.close()
        listen()
        if (begun) ha.outlives(outlives)
      },
      say: (type, body) => ha.engine.say(frameType[type], body)
    },
    drained: (records, n, overruns, dry) => { ha.drained(records, n, overruns, dry) },
    tick: () => {
      if (begun) {
        ha.tick()
        tellOutdated()
      }
      else ha.engine.tick()
      return ha.engine.busy
    },
    dueMs: () => begun ? ha.dueAtMs - monotonicMs() : Infinity,
    close: async () => {
      closing = true
      heart?.close()
      await Promise.allSettled(graces)
      await pair.close()
    }
  }
}

/** Who waits for moves to end. */
class Moves {
  private readonly waiting = new Set<{ readonly left: Set<number>, readonly done: number[], readonly refused: Array<{ readonly rg: number, readonly reasons: readonly string[] }>, readonly end: () => void }>()

  async wait (rgs: readonly number[], signal: AbortSignal): Promise<CommandResult> {
    const done: number[] = []
    const refused: Array<{ readonly rg: number, readonly reasons: readonly string[] }> = []
    if (rgs.length === 0) return { done, refused }
    await new Promise<void>((resolve) => {
      const one = { left: new Set(rgs), done, refused, end: () => { this.waiting.delete(one); resolve() } }
      this.waiting.add(one)
      signal.addEventListener('abort', () => {
        for (const rg of one.left) refused.push({ rg, reasons: ['not-ended-in-time'] })
        one.end()
      }, { once: true })
    })
    return { done, refused }
  }

  noted (n: OwnershipNote): void {
    if (n.name !== 'move-done' && n.name !== 'move-failed' && n.name !== 'move-refused') return
    for (const one of [...this.waiting]) {
      if (!one.left.delete(n.rg)) continue
      if (n.name === 'move-done') one.done.push(n.rg)
      else one.refused.push({ rg: n.rg, reasons: n.name === 'move-failed' ? n.reasons.length > 0 ? n.reasons : [n.cause] : n.name === 'move-refused' ? n.reasons : [] })
      if (one.left.size === 0) one.end()
    }
  }
}

function fieldsOf (n: OwnershipNote): ClusterEvent['fields'] {
  const fields: Record<string, string | number | null> = {}
  for (const [key, value] of Object.entries(n) as Array<[string, unknown]>) {
    if (key === 'name' || key === 'rg' || key === 'peer' || key === 'node') continue
    fields[key] = Array.isArray(value) ? value.join(', ') : typeof value === 'bigint' ? String(value) : value as string | number | null
  }
  return fields
}

function ownerOf (ha: HaNode, rg: number): string | null {
  const s = ha.ownership
  const group = s.rgs.find(r => r.config.rg === rg)
  if (group === undefined) return null
  if (claims(group.role)) return s.config.node
  return rivalsOf(s, group).find(r => claims(r.status.role))?.node ?? null
}

interface Seen { readonly down: readonly string[], readonly history: readonly RoleChange[], readonly sessions: number }

function groupStatus (ha: HaNode, rg: RgState, spec: Pick<ClusterSpec, 'descriptions'> & { readonly settings: { readonly groups: readonly ClusterGroup[] } }, seen: Seen): ClusterGroupStatus {
  const s = ha.ownership
  const number = rg.config.rg
  const { ready, reasons } = readinessOf(s, rg)
  const copy = ha.engine.group(number)
  const rival = rivalsOf(s, rg)[0]
  const owns = claims(rg.role)
  return {
    rg: number, description: spec.descriptions[number] ?? '', role: rg.role, epoch: owns ? rg.epoch : rg.fence, owner: ownerOf(ha, number), priority: rg.config.priority,
    effectivePriority: effectivePriority(rg.config.priority, rg.weight), preempt: rg.config.preempt, pinned: rg.pinned, holds: holdsOf(s, rg), ready, reasons, decision: rg.decision?.code ?? '',
    move: rg.move === null ? null : { id: rg.move.id, peer: rg.move.peer, phase: rg.move.phase }, copy: owns ? '' : copy?.state ?? 'unknown',
    provenEqualAt: owns || copy?.provenAtMs == null ? null : wall(copy.provenAtMs), sessions: seen.sessions,
    peer: rival === undefined ? null : { role: rival.status.role, epoch: rival.status.epoch, ready: rival.status.ready, reasons: rival.status.reasons, priority: rival.status.priority },
    monitorsDown: seen.down, history: seen.history
  }
}
