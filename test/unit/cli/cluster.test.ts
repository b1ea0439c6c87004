/** `lockstep cluster ...` against an agent with a pair made up: output for people and programs, exit codes. */
import t, { type Test } from 'tap'
import { LockstepError } from '../../../src/contract/errors.js'
import { statusText } from '../../../src/cli/verbs/cluster-status.js'
import { statusMessage } from '../../../src/rpc/cluster-message.js'
import { pairStatus, roleEvent, startedAt } from '../rpc/fake-cluster.js'
import { withServer, type Running } from '../rpc/with-server.js'
import { runCli, type CliResult, type CliSetup } from './run-cli.js'
import { comesAbout } from '../../until.js'

async function withCli (t: Test): Promise<Running & { cli: (command: string, setup?: CliSetup) => Promise<CliResult>, json: (command: string) => Promise<unknown> }> {
  const running = await withServer(t)
  const cli = async (command: string, setup: CliSetup = {}): Promise<CliResult> => await runCli(['cluster', ...command.split(' ')], { ...setup, env: { LOCKSTEP_SOCKET: running.socketPath, ...setup.env } })
  const json = async (command: string): Promise<unknown> => {
    const { code, out, err } = await cli(`${command} --json`)
    t.equal(code, 0, `${command}: ${err}`)
    return JSON.parse(out)
  }
  return { ...running, cli, json }
}

const style = { width: null, color: false }

t.test('status: groups, then the peer and its paths, then replication', async (t) => {
  const { cli } = await withCli(t)
  t.equal(statusText(statusMessage(pairStatus), style, startedAt + 17_500), `\
RG  ROLE             OWNER   EPOCH       PRIO  READY                                                          PROVEN  SESSIONS  PEER             DESCRIPTION
 0  owner            edge-1   1281        200  yes                                                                 -      1234  standby, ready   all
 1  standby, pinned  edge-2    770  80 of 100  no: hold manual, not-proven-equal, next-hops, monitor uplink  12s ago        77  owner: capacity

node   edge-1, index 1, generation 7
peer   edge-2: alive, agent present, generation 7
paths  path-0 alive, path-1 lost
sync   up, path 1, [2001:db8::1]:7000
lag    now 0.4 ms, p50 0.8 ms, p99 2.5 ms; 1.5KB ahead
found  differences 3, repairs 1, whole groups 1
rings  2 equal, 1 differ: www
`)
  const { code, out } = await cli('status')
  t.equal(code, 0)
  t.match(out, /^RG +ROLE +OWNER +EPOCH +PRIO +READY +PROVEN +SESSIONS +PEER +DESCRIPTION\n 0 +owner +edge-1/)
  for (const width of [80, 100, 120]) for (const line of (await cli('status', { width })).out.split('\n').slice(0, 3)) t.ok(line.length <= width, `${width}: ${line.length}`)
})

t.test('status: a peer that was never heard, a move under way, no stream', async (t) => {
  const [group] = pairStatus.groups
  const alone = {
    ...pairStatus, rings: null, peers: [{ node: 'edge-2', liveness: 'unseen' as const, paths: [], agent: null, generation: null, bootId: null }],
    sync: { ...pairStatus.sync, state: 'refused' as const, refusal: 'other ids', path: null, lagMs: null, lag: { count: 0, p50Ms: 0, p99Ms: 0, maxMs: 0, counts: [], sumMs: 0 }, received: {} },
    groups: group === undefined ? [] : [{ ...group, role: 'yield' as const, owner: null, peer: null, move: { id: 'm1', peer: 'edge-2', phase: 'final' } }]
  }
  t.equal(statusText(statusMessage(alone), style, startedAt), `\
RG  ROLE           OWNER  EPOCH  PRIO  READY  PROVEN  SESSIONS  PEER  DESCRIPTION
 0  yield (final)  -       1281   200  yes         -      1234  -     all

node   edge-1, index 1, generation 7
peer   edge-2: unseen
paths
sync   refused: other ids
lag    no stream; 1.5KB ahead
found  differences 0, repairs 0, whole groups 0
`)
})

t.test('status --json: words, objects for totals, null for what is not known', async (t) => {
  const { json } = await withCli(t)
  t.match(await json('status'), {
    node: 'edge-1', peers: [{ node: 'edge-2', liveness: 'alive', agent: 'present', paths: [{ liveness: 'alive' }, { liveness: 'lost' }] }],
    sync: { state: 'up', lagMs: 0.4, lag: { p99Ms: 2.5 }, sent: { rows: 10, cuts: 60 }, received: { differences: 3, repairs: 1 } }, rings: { equal: 2, differing: ['www'] },
    groups: [
      { rg: 0, role: 'owner', owner: 'edge-1', epoch: 1281, provenEqualAtMs: null, move: null, peer: { role: 'standby' }, history: [{ from: 'init', to: 'standby' }, { to: 'owner', code: 'elected' }] },
      { rg: 1, role: 'standby', holds: ['manual'], reasons: ['not-proven-equal', 'next-hops'], provenEqualAtMs: startedAt + 5000 }
    ]
  })
})

t.test('switchover: each group with its result, 1 when one was refused', async (t) => {
  const { cli, json, agent } = await withCli(t)
  t.match(await cli('switchover 1'), { code: 0, out: 'rg 1: owned by edge-2\n' })
  t.match(await json('switchover --all --to edge-1'), { to: 'edge-1', done: [0, 1], refused: [] })
  agent.cluster.refused = [{ rg: 0, reasons: ['not-proven-equal', 'capacity'] }]
  t.match(await cli('switchover --all'), { code: 1, out: 'rg 0: refused: not-proven-equal, capacity\nrg 1: owned by edge-2\n', err: '' })
  const refused = await cli('switchover 0 --json')
  t.equal(refused.code, 1)
  t.match(JSON.parse(refused.out), { to: 'edge-2', done: [], refused: [{ rg: 0, reasons: ['not-proven-equal', 'capacity'] }] })
  t.match(await cli('switchover 0 --to edge-9'), { code: 1, err: /no such node: found edge-9, expected one of edge-1 edge-2/ })
  t.match(await cli('switchover 7'), { code: 1, err: /no such redundancy group: found 7, expected one of 0 1/ })
})

t.test('hold, release, reset: groups or --all, never by accident', async (t) => {
  const { cli, json, agent } = await withCli(t)
  for (const [verb, word] of [['hold', 'held'], ['release', 'released'], ['reset', 'reset']] as const) {
    t.match(await cli(`${verb} 0 1`), { code: 0, out: `rg 0: ${word}\nrg 1: ${word}\n` })
    t.same(await json(`${verb} --all`), { done: [0, 1], refused: [] })
    t.match(await cli(verb), { code: 2, err: /which groups\?: found none, expected numbers of groups, or --all/ })
    t.match(await cli(`${verb} 1 --all`), { code: 2 })
    t.match(await cli(`${verb} one`), { code: 2, err: /found one, expected a whole number/ })
  }
  t.equal(agent.cluster.calls.length, 6)
})

t.test('verify: a table, and 1 for a group that is not equal in time', async (t) => {
  const { cli, json, agent } = await withCli(t)
  t.match((await cli('verify --all')).out, /^RG +EQUAL +SESSIONS +DIFFERENCES +PROVEN +TOOK\n 1 +yes +77 +3 +\d+d\d\dh ago +0\.1s\n$/)
  t.match(await json('verify 1'), [{ rg: 1, equal: true, sessions: 77, differences: 3, provenEqualAtMs: startedAt + 6000, tookMs: 120 }])
  t.match(await cli('verify 0'), { code: 1, err: /rg 0: this node owns the group.*ask edge-2/ })
  t.match(await cli('verify 1 --timeout 11m'), { code: 1, err: /expected at most 600000/ })
  agent.cluster.unequal = [1]
  t.match(await cli('verify 1 --timeout 20ms'), { code: 1, out: / 1 +NO +77 +3 +- / })
  agent.cluster.now = { ...pairStatus, groups: pairStatus.groups.slice(0, 1) }
  t.match(await cli('verify --all'), { code: 0, out: 'this node owns every group: ask at the other node\n' })
})

t.test('history: all groups or one, newest first', async (t) => {
  const { cli, json, agent } = await withCli(t)
  const { out } = await cli('history')
  t.match(out, /^TIME +RG +FROM +TO +EPOCH +WHY\n.* 0 +standby +owner +1281 +elected\n.* 1 +init +standby +770 +peer-owns\n.* 0 +init +standby +1025 +not-ready\n$/)
  t.match(await json('history 1'), [{ rg: 1, atMs: startedAt + 500, from: 'init', to: 'standby', epoch: 770, code: 'peer-owns' }])
  t.match(await cli('history 5'), { code: 1, err: /no such redundancy group: found 5, expected one of 0 1/ })
  agent.cluster.now = { ...pairStatus, groups: pairStatus.groups.map((g) => ({ ...g, history: [] })) }
  t.match(await cli('history'), { code: 0, out: 'no role has changed\n' })
})

t.test('watch: kept events and live ones, a line each, until it is ended', async (t) => {
  const { cli, agent } = await withCli(t)
  const { events } = agent.cluster
  events.tell(roleEvent(0))
  events.tell({ at: startedAt, name: 'peer', rg: null, peer: 'edge-2\u001b[31m', fields: { from: 'alive', to: 'lost', path: null } })
  const text = await cli('watch --count 2')
  t.equal(text.code, 0)
  t.match(text.out, /^[-\d]+ [:\d]+ role +rg=0 from=standby to=owner epoch=1281 code=elected\n[-\d]+ [:\d]+ peer +peer=edge-2\\u\{1b\}\[31m from=alive to=lost path=-\n$/)
  const live = cli('watch --json --count 3')
  let watching = false
  const { watch } = agent.cluster
  agent.cluster.watch = (onEvent) => { watching = true; return watch(onEvent) }
  t.ok(await comesAbout(() => watching))
  events.tell(roleEvent(1, startedAt + 1))
  const lines = (await live).out.trimEnd().split('\n').map((line) => JSON.parse(line) as unknown)
  t.same(lines[2], { time: new Date(startedAt + 1).toISOString(), event: 'role', rg: 1, peer: null, fields: { from: 'standby', to: 'owner', epoch: '1281', code: 'elected' } })
  t.match(lines[1], { event: 'peer', rg: null, fields: { path: null } })
  const abort = new AbortController()
  const endless = cli('watch', { signal: abort.signal })
  abort.abort()
  t.match(await endless, { code: 0 })
  t.match(await cli('watch --for 50ms'), { code: 0 })
})

t.test('a standalone node: every verb says so', async (t) => {
  const { cli, agent } = await withCli(t)
  agent.cluster.now = null
  for (const verb of ['status', 'history', 'watch', 'switchover --all', 'hold 0', 'release 0', 'reset 0', 'verify --all']) {
    t.match(await cli(verb), { code: 1, out: '', err: 'error: LS_H_STANDALONE: this node has no cluster; add `cluster` to the configuration\n' }, verb)
  }
})

t.test('other failures are told as elsewhere; every verb has examples', async (t) => {
  const { cli, agent } = await withCli(t)
  agent.cluster.hold = async () => { throw new LockstepError('unavailable', 'LS_E_PERMISSION', 'not allowed') }
  t.match(await cli('hold 0'), { code: 5 })
  t.match(await runCli(['cluster', 'status', '--socket', '/nowhere/agent.sock']), { code: 3, err: /no agent listens here/ })
  for (const verb of ['status', 'watch', 'history', 'switchover', 'hold', 'release', 'reset', 'verify']) t.match(await cli(`${verb} --help`), { code: 0, out: /\nExamples:\n {2}lockstep cluster / }, verb)
})
