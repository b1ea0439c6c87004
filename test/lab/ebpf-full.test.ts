/**
 * No room: the table full, the free rings empty, the notice rings overrun, one bucket pair aimed at. What is established goes on, every packet that is lost is
 * in a counter, and when the cause is over everything is as before without anybody's help.
 */
import t, { type Test } from 'tap'
import { setTimeout as sleep } from 'node:timers/promises'
import { grown, type Counts, type LabAgent } from './agent.js'
import { quickstartConfig, shortTimeouts, vipOn, type Change } from './config.js'
import { ebpfSkip, pinsOf } from './instance.js'
import type { Lab } from './lab.js'
import { collide, flood, loadServer, tcpFlows, udpTuples, type UdpTuplesFigures } from './load.js'
import { ports } from './servers.js'
import { must } from './shell.js'
import { agentSaid, full, openLab } from './support.js'
import { addresses, moreClientAddresses } from './topology.js'
import { curl, echoing, httpUrl } from './traffic.js'

const skip = await ebpfSkip('cc', 'curl')
const PORT = 7000

const clients = moreClientAddresses(4).map((c) => c.v4)
const url = httpUrl(addresses.s1.v4, '1m.bin', 8080)
const configOf = (lab: Lab, capacity: string, udpNew: string, more: readonly Change[] = []): string =>
  quickstartConfig(lab.prefix, [shortTimeouts, [['timeouts', 'udp-new'], udpNew], [['agent', 'backend'], 'ebpf'], [['agent', 'table', 'capacity'], capacity], [['screens'], undefined], [['zones', 'clients', 'screen'], undefined], ...more])

const counters = async (agent: LabAgent): Promise<Counts> => await agent.counters('drops', 'global')

/** Sent datagrams, those that arrived, and what the drop counters grew by meanwhile. */
async function tuples (lab: Lab, flows: number, rate: number): Promise<{ readonly sent: number, readonly arrived: number }> {
  const server = await loadServer(lab.topology, 's1', 'udp_tuples', [String(PORT), String(flows)])
  const { sent } = await udpTuples(lab.topology, { to: addresses.s1.v4, port: PORT, flows, rate, from: clients })
  await sleep(300)
  return { sent, arrived: (await server.stop() as UdpTuplesFigures).datagrams }
}

/** A connection, a UDP flow and a download that were there before and go on while `act` runs: none loses anything. */
async function heldThrough (t: Test, lab: Lab, act: () => Promise<void>): Promise<void> {
  const client = lab.netns('client')
  const job = { port: ports.echo, count: 100_000, intervalMs: 20, patienceMs: 2000 } as const
  await echoing(client, { ...job, count: 5, kind: 'udp', host: addresses.s2.v6 }).figures // neighbours are known from here on: the very first datagram may go before one is
  const held = [echoing(client, { ...job, kind: 'tcp', host: addresses.s1.v4 }), echoing(client, { ...job, kind: 'udp', host: addresses.s2.v6 })]
  const download = curl({ netns: client, url, count: 2, parallel: 2, sha256: lab.servers.bigSha256, timeoutS: 60, rate: '250k' })
  await sleep(1000)
  await act()
  for (const h of held) h.process.child.kill('SIGUSR1')
  for (const h of held) {
    const f = await h.figures
    t.comment(`${f.received} answers, longest gap ${Math.round(f.longestGapMs)} ms`)
    t.same([f.error, f.sent - f.received], [null, 0], 'what was established lost nothing')
  }
  t.same((await download).failures, {}, 'downloads either')
}

const worksAgain = async (t: Test, lab: Lab): Promise<void> => {
  t.same((await curl({ netns: lab.netns('client'), url, count: 10, parallel: 4, sha256: lab.servers.bigSha256, timeoutS: 10 })).failures, {}, 'and new ones are served')
}

const ended = async (t: Test, lab: Lab, agent: LabAgent): Promise<void> => {
  t.equal(await agent.drained(45_000), 0)
  const v = await agent.verify()
  t.match(v, { ok: true, live: 0, entries: 0, faults: [] })
  t.equal(v.free, v.slots)
  t.equal((await agent.stop()).code, 0, agentSaid(lab))
}

const sum = (counts: Readonly<Record<string, number>>): number => Object.values(counts).reduce((a, b) => a + b, 0)

t.test('a small table', { skip }, async (t) => {
  const lab = await openLab(t, 'full', { moreClients: clients.length })
  const agent = await lab.startAgent(configOf(lab, '1k', '3s'))
  await t.test('is full', async (t) => { await isFull(t, lab, agent) })
  await t.test('hash collisions: flows that all belong into the same two buckets', async (t) => { await collisions(t, lab, agent) })
  await ended(t, lab, agent)
})

async function isFull (t: Test, lab: Lab, agent: LabAgent): Promise<void> {
  await heldThrough(t, lab, async () => {
    const before = await counters(agent)
    const { sent, arrived } = await tuples(lab, 4000, 3000)
    const after = await counters(agent)
    const drops = grown(before, after, 'drops')
    t.comment(`${sent} flows, ${arrived} arrived, drops ${JSON.stringify(drops)}, ${await agent.count()} sessions`)
    t.ok((drops['table_full'] ?? 0) > 0, 'the table was full')
    t.equal(sent - arrived, sum(drops), 'every loss is counted')
    t.match(await agent.verify(), { ok: true, faults: [] })
  })
  t.equal(await agent.drained(20_000, '--port', String(PORT)), 0)
  await worksAgain(t, lab)
}

t.test('the agent does not keep up', { skip }, async (t) => {
  const lab = await openLab(t, 'rings', { moreClients: clients.length })
  const config = configOf(lab, '4k', '2s')
  const agent = await lab.startAgent(config)
  await t.test('the free rings are empty: it stands still for less time than the keeper allows', async (t) => { await emptyRings(t, lab, agent) })
  await t.test('the notice rings are overrun: nobody reads them while it is dead', async (t) => { await overrun(t, lab, agent, config) })
  await ended(t, lab, lab.agent)
})

async function emptyRings (t: Test, lab: Lab, agent: LabAgent): Promise<void> {
  await heldThrough(t, lab, async () => {
    const before = await counters(agent)
    process.kill(agent.pid, 'SIGSTOP')
    const { sent, arrived } = await tuples(lab, 4000, 3000).finally(() => process.kill(agent.pid, 'SIGCONT'))
    const after = await counters(agent)
    const drops = grown(before, after, 'drops')
    const v = await agent.verify()
    t.comment(`${sent} flows, ${arrived} arrived, drops ${JSON.stringify(drops)}, ${v.live} sessions in ${v.slots} slots`)
    t.ok((drops['table_full'] ?? 0) > 0, 'rings ran empty')
    t.ok(v.live < v.slots / 4, 'while the table had room')
    t.equal(sent - arrived, sum(drops), 'every loss is counted')
    t.match(v, { ok: true, faults: [] })
    const again = await tuples(lab, 500, 1000)
    t.equal(again.arrived, again.sent, 'refilled')
  })
  await worksAgain(t, lab)
}

async function overrun (t: Test, lab: Lab, first: LabAgent, config: string): Promise<void> {
  await heldThrough(t, lab, async () => {
    const before = await counters(first)
    await first.kill()
    const { sent, arrived } = await tuples(lab, 3000, 1000) // the table is half full: not a matter of room
    const agent = await lab.startAgent(config)
    const after = await counters(agent)
    const drops = grown(before, after, 'drops')
    const lost = grown(before, after, 'global')['notice_overruns'] ?? 0
    t.comment(`${sent} flows, ${arrived} arrived, drops ${JSON.stringify(drops)}, ${lost} notices lost`)
    t.ok(lost > 0, 'notices were lost, and counted')
    t.equal(sent - arrived, sum(drops), 'every loss of a packet is counted')
    t.match(await agent.verify(), { ok: true, faults: [] })
    const again = await tuples(lab, 500, 1000)
    t.equal(again.arrived, again.sent)
    const later = grown(after, await counters(agent), 'global')
    t.same([later['notice_overruns'] ?? 0, (later['notices'] ?? 0) >= 500], [0, true], 'the next ones are read')
  })
  await worksAgain(t, lab)
}

async function collisions (t: Test, lab: Lab, agent: LabAgent): Promise<void> {
  // Nobody answers: the addresses need not be anybody's.
  const from = Array.from({ length: 128 }, (_, i) => `10.77.1.${100 + i}`)
  const [flows, rounds] = [24, full ? 1000 : 20]
  const attack = async (): Promise<void> => {
    const before = await counters(agent)
    const server = await loadServer(lab.topology, 's1', 'udp_tuples', [String(PORT), String(flows)])
    const { sent, buckets } = await collide(lab.topology, { header: `${pinsOf(lab)}/header`, to: addresses.s1.v4, port: PORT, flows, rounds, rate: 1000, from })
    const fine = await curl({ netns: lab.netns('client'), url, count: 10, parallel: 2, sha256: lab.servers.bigSha256, timeoutS: 10 })
    await sleep(300)
    const seen = await server.stop() as UdpTuplesFigures
    const drops = grown(before, await counters(agent), 'drops')
    t.comment(`${sent} datagrams of ${flows} flows into 2 of ${buckets} buckets: ${seen.flows} flows have a session, ${seen.datagrams} arrived, drops ${JSON.stringify(drops)}`)
    t.ok(seen.flows <= 16 && seen.flows >= 12, `${seen.flows} fit into two buckets of eight, some of which others may have`)
    t.equal(drops['table_full'], sent - seen.datagrams, 'the rest is counted')
    t.same(fine.failures, {}, 'whoever goes elsewhere is served, also anew')
  }
  await heldThrough(t, lab, async () => {
    await attack()
    t.match(await agent.verify(), { ok: true, faults: [] })
    t.equal(await agent.drained(20_000, '--port', String(PORT)), 0)
    await attack()
  })
}

t.test('a SYN flood as fast as one core sends, the table full', { skip: skip || (full ? false : 'the full size, which LOCKSTEP_LAB_FULL=1 runs; test/lab/cookies.test.ts runs the small one') }, async (t) => {
  const lab = await openLab(t, 'synflood', { attacker: true, moreClients: clients.length })
  const agent = await lab.startAgent(configOf(lab, '64k', '6s', [
    [['interfaces', 'rt-attack'], { zone: 'attackers', addresses: [`${addresses.routerAttack.v4}/24`, `${addresses.routerAttack.v6}/64`] }],
    [['zones', 'attackers'], { 'host-inbound': ['ping'] }],
    [['policies', 0, 'from'], ['clients', 'attackers']], [['policies', 0, 'source'], undefined], [['policies', 0, 'log'], undefined], ...vipOn(80)
  ]))
  // The servers' own defence is theirs: they answer everybody.
  for (const host of ['s1', 's2'] as const) await must({ netns: lab.netns(host), argv: ['sh', '-c', 'echo 65535 > /proc/sys/net/ipv4/tcp_max_syn_backlog; echo 65535 > /proc/sys/net/core/somaxconn; echo 1 > /proc/sys/net/ipv4/tcp_syncookies'] })
  for (const host of ['s1', 's2'] as const) await loadServer(lab.topology, host, 'tcp_flows', ['8443'])
  const attack = flood(lab.topology, { from: null, to: addresses.vip.v4, kind: 'syn', rate: 1e9, seconds: 20 })
  await sleep(5000)
  const live = (await agent.status()).tableLive
  const f = await tcpFlows(lab.topology, { to: addresses.s1.v4, port: 8443, rate: 100, seconds: 10, from: clients, timeoutMs: 3000 })
  const { sent, seconds } = await attack
  const { drops, global } = await counters(agent)
  t.comment(`${Math.round(sent / seconds)} SYN/s, ${live} sessions when legitimate connections began; ${f.ok} of ${f.attempted} within 3 s, ${f.late} late, p50 ${f.ms.p50} ms, p99 ${f.ms.p99} ms`)
  t.comment(`failures ${JSON.stringify(f.failures)}, drops ${JSON.stringify(drops)}, ${JSON.stringify(global)}`)
  t.ok(f.ok / f.attempted >= 0.99, `${(100 * f.ok / f.attempted).toFixed(2)} % succeeded within 3 s`)
  await worksAgain(t, lab)
  await ended(t, lab, agent)
})
