/** ClusterControl in memory: a pair as node edge-1 sees it, with handles for tests to change what is seen and done. */
import type { ClusterRepair, ClusterControl, ClusterEvent, ClusterGroupStatus, ClusterStatus, CommandResult, VerifyResult } from '../../../src/contract/cluster.js'
import { ClusterLog } from '../../../src/ha/event-log.js'

export const startedAt = 1_700_000_000_000

const group: ClusterGroupStatus = {
  rg: 0, description: 'all', role: 'owner', epoch: 1281n, owner: 'edge-1', priority: 200, effectivePriority: 200, preempt: true, pinned: false, holds: [], ready: true, reasons: [], decision: 'owns', move: null,
  copy: 'unknown', provenEqualAt: null, sessions: 1234, peer: { role: 'standby', epoch: 1281n, ready: true, reasons: [], priority: 100 }, monitorsDown: [],
  history: [{ at: startedAt, from: 'init', to: 'standby', epoch: 1025n, code: 'not-ready' }, { at: startedAt + 1000, from: 'standby', to: 'owner', epoch: 1281n, code: 'elected' }]
}

export const pairStatus: ClusterStatus = {
  node: 'edge-1', nodeIndex: 1, bootId: 'boot-1', generation: 7,
  peers: [{ node: 'edge-2', liveness: 'alive', paths: [{ path: 'path-0', liveness: 'alive', heard: 600 }, { path: 'path-1', liveness: 'lost', heard: 17 }], agent: 'present', generation: 7, bootId: 'boot-2' }],
  sync: {
    state: 'up', refusal: '', path: { index: 1, address: { host: '2001:db8::1', port: 7000 } }, lagMs: 0.4, lag: { count: 500, p50Ms: 0.8, p99Ms: 2.5, maxMs: 9, counts: [200, 280, 10, 5, 5, 0, 0, 0, 0, 0, 0, 0], sumMs: 400 }, aheadBytes: 1536, redial: null,
    sent: { rows: 10, sent: 9, bulks: 0, cells: 0, cuts: 60, needed: 0 }, received: { installed: 20, conflicts: 0, differences: 3, repairs: 1, bulks: 1 }
  },
  rings: { equal: 2, differing: ['www'] },
  groups: [group, {
    ...group, rg: 1, description: '', role: 'standby', epoch: 770n, owner: 'edge-2', priority: 100, effectivePriority: 80, pinned: true, holds: ['manual'], ready: false, reasons: ['not-proven-equal', 'next-hops'],
    copy: 'equal', provenEqualAt: startedAt + 5000, sessions: 77, peer: { role: 'owner', epoch: 770n, ready: false, reasons: ['capacity'], priority: 200 }, monitorsDown: ['uplink'],
    history: [{ at: startedAt + 500, from: 'init', to: 'standby', epoch: 770n, code: 'peer-owns' }]
  }]
}

export class FakeCluster implements ClusterControl {
  readonly events = new ClusterLog()
  /** `null`: standalone. */
  now: ClusterStatus | null = pairStatus
  refused: CommandResult['refused'] = []
  unequal: readonly number[] = []
  readonly calls: Array<readonly unknown[]> = []

  status = async (): Promise<ClusterStatus | null> => this.now
  switchover = async (rgs: readonly number[], to: string): Promise<CommandResult> => this.#run('switchover', rgs, to)
  hold = async (rgs: readonly number[]): Promise<CommandResult> => this.#run('hold', rgs)
  release = async (rgs: readonly number[]): Promise<CommandResult> => this.#run('release', rgs)
  reset = async (rgs: readonly number[]): Promise<CommandResult> => this.#run('reset', rgs)
  /** Waits for the signal when a group is not equal. */
  verify = async (rgs: readonly number[], signal: AbortSignal): Promise<VerifyResult[]> => {
    this.#run('verify', rgs)
    const equal = rgs.every((rg) => !this.unequal.includes(rg))
    if (!equal) await new Promise<void>((resolve) => { if (signal.aborted) resolve(); else signal.addEventListener('abort', () => { resolve() }) })
    return rgs.map((rg) => ({ rg, equal: !this.unequal.includes(rg), sessions: 77, differences: 3, provenEqualAt: equal ? startedAt + 6000 : null, tookMs: 120 }))
  }

  resync = async (rgs: readonly number[]): Promise<VerifyResult[]> => {
    this.#run('resync', rgs)
    return rgs.map((rg) => ({ rg, equal: true, sessions: 77, differences: 0, provenEqualAt: startedAt + 6000, tookMs: 300 }))
  }

  repaired: readonly ClusterRepair[] = []
  repairs = async (): Promise<readonly ClusterRepair[]> => await Promise.resolve(this.repaired)

  watch = (onEvent: (event: ClusterEvent) => void): (() => void) => this.events.watch(onEvent)

  #run (name: string, rgs: readonly number[], ...more: unknown[]): CommandResult {
    this.calls.push([name, rgs, ...more])
    return { done: rgs.filter((rg) => !this.refused.some((r) => r.rg === rg)), refused: this.refused }
  }
}

export const roleEvent = (rg: number, at = startedAt): ClusterEvent => ({ at, name: 'role', rg, peer: null, fields: { from: 'standby', to: 'owner', epoch: '1281', code: 'elected' } })
