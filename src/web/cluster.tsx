/** The pair as each of its nodes sees it: who owns what, how equal the copies are, how well the other is heard; and a planned move, for whom may. */
import type { JSX } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'
import { count, short } from './format.js'
import type { ClusterStatus, Group, Peer } from './model.js'
import { Age, Flash, Freshness, Panel, State, Table, useFeed, usePage, useStore, type Column } from './ui.js'

const groupColumns: readonly Column[] = [
  { name: 'group', label: 'Group', wide: 8 }, { name: 'role', label: 'Role here', wide: 7 }, { name: 'owner', label: 'Owner', wide: 6 }, { name: 'ready', label: 'Ready', wide: 20 }, { name: 'copy', label: 'Copy', wide: 7, minor: true }, { name: 'equal', label: 'Proven equal', number: true, wide: 8.5 },
  { name: 'priority', label: 'Priority', number: true, wide: 7, minor: true }, { name: 'epoch', label: 'Epoch', number: true, wide: 5, minor: true }, { name: 'sessions', label: 'Sessions', number: true, wide: 6 }, { name: 'peer', label: 'Peer', wide: 11, minor: true }, { name: 'move', label: '', wide: 8 }
]
const peerColumns: readonly Column[] = [{ name: 'node', label: 'Peer', wide: 8 }, { name: 'liveness', label: 'Heard', wide: 7 }, { name: 'paths', label: 'Paths', wide: 20 }, { name: 'agent', label: 'Agent', wide: 7 }, { name: 'generation', label: 'Generation', number: true, wide: 7 }]

export function Cluster ({ agents }: { readonly agents: readonly string[] }): JSX.Element { return <>{agents.map(agent => <Pair key={agent} agent={agent} />)}</> }

function Pair ({ agent }: { readonly agent: string }): JSX.Element {
  const store = useStore()
  const { me } = usePage()
  const { feed } = useFeed(agent, 'cluster')
  const [asked, setAsked] = useState<{ readonly group: Group, readonly to: string } | null>(null)
  const status = feed.reading.value
  const now = new Map(status?.groups.map(group => [group.rg, group]))
  const watched = store.list(agent, 'group').map(([, group]) => group)
  const peers = store.list(agent, 'peer').map(([, peer]) => peer)
  const node = status?.node ?? store.list(agent, 'agent')[0]?.[1].node ?? agent
  if (watched.length === 0 && status === null) return <Panel title="Pair" agent={agent} note={<Freshness reading={feed.reading} />}><p class="empty">This node has no cluster.</p></Panel>
  // role, readiness and reasons come as they change; sessions and the time of the proof are in the reading
  const rows = watched.map((group): Group => { const last = now.get(group.rg); return last === undefined ? group : { ...group, sessions: last.sessions, ...last.provenEqualAtMs === undefined ? {} : { provenEqualAtMs: last.provenEqualAtMs }, copy: last.copy } })
  return (
    <Panel title="Pair" agent={agent} note={<Freshness reading={feed.reading} />}>
      <Table<Group> caption={`Redundancy groups of ${agent}`} columns={groupColumns} rows={rows} keyOf={({ rg }) => String(rg)} empty="No groups." row={group => [
        <><b>{group.rg}</b> {group.description}{group.pinned && <span class="faint"> pinned</span>}</>, <State word={group.role} />, <Flash value={group.owner}>{group.owner === '' ? <span class="state bad">✕ nobody</span> : group.owner}</Flash>,
        <span title={[...group.reasons, ...group.holds].join('\n')}><State word={group.ready ? 'ready' : 'not ready'} /> <span class="faint">{[...group.reasons, ...group.holds.map(hold => `held: ${hold}`)].join(', ')}</span></span>,
        group.role === 'owner' ? <span class="faint">the original</span> : <State word={group.copy} />, <Age at={group.provenEqualAtMs} never={group.role === 'owner' ? 'by the peer' : 'never'} />,
        group.effectivePriority === group.priority ? group.priority : `${group.effectivePriority} of ${group.priority}`, String(group.epoch), count(group.sessions),
        group.peer === undefined ? <span class="faint">not heard</span> : <span title={group.peer.reasons.join('\n')}><State word={group.peer.role} />{group.peer.ready ? '' : <span class="faint"> not ready</span>}</span>,
        group.move !== undefined ? <span class="faint">moving: {group.move.phase}</span> : me?.may.switchover === true && group.owner !== '' ? <button type="button" class="small" onClick={() => { setAsked({ group, to: otherOf(group, node, peers) }) }} disabled={peers.length === 0 || store.agents.get(agent)?.connected !== true}>Move …</button> : ''
      ]} />
      {status !== null && <Replication status={status} />}
      <Table<Peer> caption={`Peers of ${agent}`} columns={peerColumns} rows={peers} keyOf={peer => peer.node} empty="No peer is configured." row={peer => [
        peer.node, <State word={peer.liveness} />, peer.paths.map(({ path, liveness }) => <span key={path} class="group">{path} <State word={liveness} /></span>), peer.agent === '' ? <span class="faint">not heard</span> : peer.agent, peer.generation === undefined ? '–' : <Flash value={peer.generation}>{peer.generation}</Flash>
      ]} />
      {asked !== null && <Confirm agent={agent} group={asked.group} to={asked.to} onEnd={() => { setAsked(null) }} />}
    </Panel>
  )
}

/** Where it would go: away from its owner. */
const otherOf = ({ owner }: Group, node: string, peers: readonly Peer[]): string => owner === node ? peers[0]?.node ?? '' : node

function Replication ({ status: { sync, rings } }: { readonly status: ClusterStatus }): JSX.Element {
  if (sync === null) return <p class="empty">Sessions do not cross to the peer.</p>
  const { lag } = sync
  const ms = (value: number | undefined): string => value === undefined ? '–' : `${value.toFixed(1)} ms`
  return (
    <dl class="facts">
      <div><dt>Stream</dt><dd><State word={sync.state} title={sync.refusal} /> <span class="faint">{sync.refusal === '' ? sync.address : sync.refusal}</span></dd></div>
      <div><dt>Lag now</dt><dd><Flash value={sync.lagMs}>{ms(sync.lagMs)}</Flash></dd></div>
      <div><dt>Lag p50, p99, longest</dt><dd>{lag === undefined || lag.count === 0 ? '–' : `${ms(lag.p50Ms)}, ${ms(lag.p99Ms)}, ${ms(lag.maxMs)}`}</dd></div>
      <div><dt>Unacknowledged</dt><dd>{short(sync.aheadBytes, 'B')}</dd></div>
      <div><dt>Differences found, repaired</dt><dd><Flash value={sync.received['differences']}>{count(sync.received['differences'] ?? 0)}</Flash>, {count(sync.received['repairs'] ?? 0)}</dd></div>
      <div><dt>Sent, installed</dt><dd>{count(sync.sent['rows'] ?? 0)}, {count(sync.received['installed'] ?? 0)}</dd></div>
      {rings !== undefined && <div><dt>Rings equal, differing</dt><dd>{rings.equal}, <span title={rings.differing.join('\n')}>{rings.differing.length}</span></dd></div>}
    </dl>
  )
}

function Confirm ({ agent, group, to, onEnd }: { readonly agent: string, readonly group: Group, readonly to: string, readonly onEnd: () => void }): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null)
  const [told, setTold] = useState<{ readonly tone: string, readonly text: string } | null>(null)
  const [running, setRunning] = useState(false)
  useEffect(() => { dialog.current?.showModal() }, [])
  const move = async (): Promise<void> => {
    setRunning(true)
    try {
      const response = await fetch('/api/switchover', { method: 'POST', headers: { 'content-type': 'application/json', 'x-lockstep-request': 'switchover' }, body: JSON.stringify({ agent, rgs: [group.rg], to }) })
      if (!response.ok) throw new Error((await response.text()).trim())
      const { done, refused } = await response.json() as { readonly done: readonly number[], readonly refused: ReadonlyArray<{ readonly rg: number, readonly reasons: readonly string[] }> }
      setTold(done.includes(group.rg) ? { tone: 'good', text: `● ${to} owns group ${group.rg} now.` } : { tone: 'warn', text: `▲ It stays where it is: ${refused.flatMap(({ reasons }) => reasons).join(', ')}` })
    } catch (error) {
      setTold({ tone: 'bad', text: `✕ ${error instanceof Error ? error.message : String(error)}` })
    }
    setRunning(false)
  }
  return (
    <dialog ref={dialog} aria-labelledby="move-title" onClose={onEnd}>
      <h2 id="move-title">Move group {group.rg} to {to}?</h2>
      <p>{group.owner} owns it{group.description === '' ? '' : ` (${group.description})`}, with {count(group.sessions)} sessions. A planned move waits until both copies are proven equal and loses no packet. The group is pinned there until it is reset.</p>
      {!group.ready && group.owner !== to && <p class="state warn">▲ Not ready: {group.reasons.join(', ')}. The move may be refused; then nothing changes.</p>}
      <p role="status" class={`state ${told?.tone ?? ''}`}>{running ? 'Moving …' : told?.text ?? ''}</p>
      <div class="buttons"><button type="button" onClick={() => { dialog.current?.close() }}>{told === null ? 'Cancel' : 'Close'}</button>{told === null && <button type="button" class="danger" disabled={running} onClick={() => { void move() }}>Move group {group.rg}</button>}</div>
    </dialog>
  )
}
