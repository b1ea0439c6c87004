/** Debug tables of the pair: groups and their history, the other node, the stream of sessions. Without a cluster they are empty. */
import type { ClusterControl, ClusterGroupStatus, ClusterPeer, ClusterStatus, RoleChange } from '../../contract/cluster.js'
import type { DebugTable } from '../../contract/debug.js'
import { debugTable, factColumns, factTone, link, yes, type Fact } from './table.js'

const source = 'sync thread, by the main thread'

export function clusterTables (cluster: ClusterControl): readonly DebugTable[] {
  const of = async <R>(view: (status: ClusterStatus) => readonly R[]): Promise<readonly R[]> => {
    const status = await cluster.status()
    return status === null ? [] : view(status)
  }
  return [
    debugTable<ClusterGroupStatus>({
      name: 'groups', group: 'cluster', about: 'A redundancy group as this node sees it', source,
      columns: {
        rg: ['id', g => g.rg], role: ['text', g => g.role], owner: ['text', g => g.owner], peer: ['link', g => link('peers', g.owner), 'peers'], description: ['text', g => g.description], epoch: ['text', g => String(g.epoch)], priority: ['number', g => g.priority], effective: ['number', g => g.effectivePriority],
        preempt: ['text', g => yes(g.preempt)], ready: ['text', g => yes(g.ready)], reasons: ['text', g => g.reasons.join(', ')], holds: ['text', g => g.holds.join(', ')], pinned: ['text', g => yes(g.pinned)], decision: ['text', g => g.decision],
        move: ['text', g => g.move === null ? null : `${g.move.phase} ${g.move.peer} ${g.move.id}`], copy: ['text', g => g.copy], 'proven-equal': ['time', g => g.provenEqualAt], sessions: ['number', g => g.sessions], 'monitors-down': ['text', g => g.monitorsDown.join(', ')]
      },
      read: async () => await of(({ groups }) => groups), tone: g => g.role === 'owner' ? 'good' : g.role === 'standby' ? g.ready ? '' : 'warn' : 'bad'
    }),
    debugTable<RoleChange & { readonly rg: number }>({
      name: 'role-changes', group: 'cluster', about: 'A change of the role of a group here, newest first', source,
      columns: {
        id: ['text', r => `${r.rg}-${r.at}-${r.to}`], at: ['time', r => r.at], group: ['link', r => link('groups', r.rg), 'groups'], from: ['text', r => r.from], to: ['text', r => r.to], epoch: ['text', r => String(r.epoch)], code: ['text', r => r.code]
      },
      read: async () => (await of(({ groups }) => groups.flatMap(({ rg, history }) => history.map(change => ({ rg, ...change })))) as Array<RoleChange & { rg: number }>).sort((a, b) => b.at - a.at)
    }),
    debugTable<ClusterPeer>({
      name: 'peers', group: 'cluster', about: 'Another node of the pair', source,
      columns: {
        node: ['text', p => p.node], liveness: ['text', p => p.liveness], agent: ['text', p => p.agent], generation: ['link', p => link('generations', p.generation), 'generations'], paths: ['text', p => p.paths.map(({ path, liveness }) => `${path} ${liveness}`).join(', ')], boot: ['text', p => p.bootId]
      },
      read: async () => await of(({ peers }) => peers), tone: ({ liveness }) => liveness === 'alive' ? 'good' : liveness === 'lost' ? 'bad' : 'warn'
    }),
    debugTable<Fact>({
      name: 'sync', group: 'cluster', about: 'The stream of sessions to the other node: its state, lag and totals', source, columns: factColumns, tone: factTone,
      read: async () => await of(({ sync, rings }): Fact[] => [
        { name: 'state', value: sync.state, tone: sync.state === 'up' ? 'good' : 'bad' }, { name: 'refusal', value: sync.refusal }, { name: 'path', value: sync.path === null ? null : `${sync.path.index} ${sync.path.address.host} ${sync.path.address.port}` },
        { name: 'lag-ms', value: sync.lagMs }, { name: 'lag-p50-ms', value: sync.lag.p50Ms }, { name: 'lag-p99-ms', value: sync.lag.p99Ms }, { name: 'lag-max-ms', value: sync.lag.maxMs }, { name: 'ahead-bytes', value: sync.aheadBytes },
        ...rings === null ? [] : [{ name: 'rings-equal', value: rings.equal }, { name: 'rings-differing', value: rings.differing.join(', '), tone: rings.differing.length > 0 ? 'warn' as const : '' as const }],
        ...Object.entries(sync.sent).map(([name, value]) => ({ name: `sent-${name}`, value })), ...Object.entries(sync.received).map(([name, value]) => ({ name: `received-${name}`, value }))
      ])
    })
  ]
}
