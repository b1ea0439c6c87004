/**
 * A host that is more than a router: sshd, BGP, probes, outgoing DNS. A configuration that denies everything comes, programs come and go, the agent dies:
 * no session is reset, BGP changes no state, no probe is lost. And what is counted is what was sent, to the byte.
 */
import t, { type Test } from 'tap'
import { setTimeout as sleep } from 'node:timers/promises'
import type { LabAgent } from './agent.js'
import { changed, denyAllConfig, quickstartConfig } from './config.js'
import { bgpRefusal, startBgpd, startSshd } from './daemons.js'
import { ebpfSkip } from './instance.js'
import type { Lab } from './lab.js'
import { ports, startNetServer } from './servers.js'
import { Background, must } from './shell.js'
import { agentSaid, full, openLab } from './support.js'
import { addresses, macs, type HostName } from './topology.js'
import { curl, echo, echoing, httpUrl, parsePing } from './traffic.js'

const skip = await ebpfSkip('ping', 'curl')

/** An endless ping; at its end every request must have been answered. */
function probing (lab: Lab, from: HostName, to: string): { readonly end: (t: Test) => Promise<void> } {
  const process = new Background(`ping ${to}`, lab.netns(from), ['ping', '-n', '-i', '0.05', '-W', '2', to])
  return {
    end: async (t) => {
      await process.stop('SIGINT', 10_000)
      const p = parsePing(process.output)
      t.ok(p.sent > 20 && p.sent - p.received <= 1, `${p.received} of ${p.sent} probes of ${to} from ${from}`) // the last may be on its way
    }
  }
}

t.test('deny everything, programs come and go, the agent dies: SSH, BGP, ND, probes and DNS do not blink', { skip: skip || await ebpfSkip('ssh', 'sshd', 'ssh-keygen', 'vtysh') || bgpRefusal() }, async (t) => {
  const lab = await openLab(t, 'hosts')
  const router = lab.netns('router')
  const sshd = await startSshd(lab.topology, 'router')
  t.teardown(async () => { await sshd.stop() })
  await startNetServer(lab.topology, 's2', { name: 'resolver', udpEcho: 53 })
  // The host opens one connection by itself and is called by the other.
  const here = await startBgpd(lab.topology, 'router', { as: 65001, id: addresses.routerServer.v4, network: '10.201.0.0/16', peers: [{ address: addresses.s1.v4, as: 65002, passive: false }, { address: addresses.s2.v4, as: 65003, passive: true }] })
  const called = await startBgpd(lab.topology, 's1', { as: 65002, id: addresses.s1.v4, network: '10.202.0.0/16', peers: [{ address: addresses.routerServer.v4, as: 65001, passive: true }] })
  const caller = await startBgpd(lab.topology, 's2', { as: 65003, id: addresses.s2.v4, network: '10.203.0.0/16', peers: [{ address: addresses.routerServer.v4, as: 65001, passive: false }] })
  t.teardown(async () => { for (const b of [here, called, caller]) await b.stop() })
  const peer = (prefixes: number): object => ({ state: 'Established', established: 1, dropped: 0, prefixes })
  const bgpStates = async (): Promise<object> => [await here.states(), await called.states(), await caller.states()]
  const expected = [{ [addresses.s1.v4]: peer(1), [addresses.s2.v4]: peer(1) }, { [addresses.routerServer.v4]: peer(2) }, { [addresses.routerServer.v4]: peer(2) }]
  for (let tries = 0; tries < 50 && JSON.stringify(await bgpStates()) !== JSON.stringify(expected); tries++) await sleep(200)
  t.same(await bgpStates(), expected, 'BGP before the agent')

  const ssh = [sshd.session('client', addresses.routerClient.v4), sshd.session('client', addresses.routerClient.v6)]
  for (const s of ssh) await s.process.says('\n')
  const probes = [
    ...[addresses.s1.v4, addresses.s2.v6].map((to) => probing(lab, 'router', to)),
    ...[addresses.routerClient.v4, addresses.routerClient.v6].map((to) => probing(lab, 'client', to))
  ]
  const questions = [addresses.s2.v4, addresses.s2.v6].map((host) => echoing(router, { kind: 'dns', host, port: 53, count: 100_000, intervalMs: 50, patienceMs: 2000 }))
  const steady = async (t: Test, when: string): Promise<void> => {
    const had = ssh.map((s) => s.lines())
    await sleep(full ? 5000 : 1000)
    for (const [i, s] of ssh.entries()) t.ok(s.process.running && s.whole() && s.lines() > (had[i] ?? 0), `SSH speaks ${when} ${s.process.running ? '' : s.process.output.slice(-200)}`)
    t.same(await bgpStates(), expected, `BGP ${when}`)
  }
  const config = changed(denyAllConfig(lab.prefix), [[['agent', 'backend'], 'userspace'], [['zones', 'servers', 'host-inbound'], ['ping', 'bgp']]])
  await steady(t, 'without us')
  let agent = await lab.startAgent(config)
  await steady(t, 'under a configuration that denies everything')
  for (let n = 0; n < (full ? 6 : 1); n++) {
    await agent.json(['backend', 'switch', 'ebpf'])
    await steady(t, 'in ebpf')
    for (const [host, dev] of [['router', 'rt-client'], ['router', 'rt-server'], ['client', 'eth0'], ['s1', 'eth0'], ['s2', 'eth0']] as const) await must({ netns: lab.netns(host), argv: ['ip', 'neigh', 'flush', 'dev', dev] })
    await steady(t, 'after all neighbours were forgotten')
    t.equal((await curl({ netns: lab.netns('client'), url: httpUrl(addresses.s1.v4, 'who'), count: 1, parallel: 1, sha256: null, timeoutS: 1 })).ok, 0, 'the denial is real')
    const more = sshd.session('s2', addresses.routerServer.v6)
    await more.process.says('1\n')
    t.equal(await more.process.stop(), await more.process.ended, 'a new SSH session')
    await agent.json(['backend', 'switch', 'userspace'])
    await steady(t, 'back in userspace')
  }
  await agent.json(['backend', 'switch', 'ebpf'])
  await agent.kill()
  await steady(t, 'with the agent dead')
  agent = await lab.startAgent(config)
  await steady(t, 'with the agent back')
  t.match(await agent.verify(), { ok: true, faults: [] })
  t.equal((await agent.stop()).code, 0, agentSaid(lab))
  await agent.teardown()
  await steady(t, 'after the teardown')

  for (const p of probes) await p.end(t)
  for (const q of questions) q.process.child.kill('SIGUSR1')
  for (const q of questions) {
    const f = await q.figures
    t.same([f.error, f.sent - f.received, f.sent > 20], [null, 0, true], `${f.received} of ${f.sent} questions were answered`)
  }
  for (const s of ssh) t.comment(`SSH: ${s.lines()} lines, longest gap ${Math.round(s.longestGapMs())} ms`)
})

interface Row { readonly name: string, readonly values: ReadonlyArray<number | string> }

/** Packets and bytes of one row. */
async function counted (agent: LabAgent, block: string, row: string): Promise<readonly [packets: number, bytes: number]> {
  const { blocks } = await agent.json<{ blocks: ReadonlyArray<{ name: string, rows: readonly Row[] }> }>(['counters', block])
  const values = blocks.find((b) => b.name === block)?.rows.find((r) => r.name === row)?.values ?? [0, 0]
  return [Number(values[0]), Number(values[1])]
}

/** Packets that the kernel has sent by this interface. */
async function sentBy (netns: string, dev: string): Promise<number> {
  const [link] = JSON.parse(await must({ netns, argv: ['ip', '-s', '-j', 'link', 'show', dev] })) as Array<{ stats64: { tx: { packets: number } } }>
  return link?.stats64.tx.packets ?? 0
}

const LINK_HEADER = 14
/** Of the echo server: its name and a space before what it got. */
const NAMED = 4

t.test('counters are the sender\'s: interface, zone, policy and session, packets and bytes', { skip }, async (t) => {
  const lab = await openLab(t, 'count')
  const client = lab.netns('client')
  // Who knows his neighbours does not ask for them: nothing but what is counted passes.
  const known = [
    ['client', 'eth0', addresses.routerClient, macs.routerClient], ['router', 'rt-client', addresses.client, macs.client], ['router', 'rt-server', addresses.s1, macs.s1], ['router', 'rt-server', addresses.s2, macs.s2],
    ['s1', 'eth0', addresses.routerServer, macs.routerServer], ['s2', 'eth0', addresses.routerServer, macs.routerServer]
  ] as const
  for (const [host, dev, of, mac] of known) for (const address of [of.v4, of.v6]) await must({ netns: lab.netns(host), argv: ['ip', 'neigh', 'replace', address, 'lladdr', mac, 'dev', dev, 'nud', 'permanent'] })
  const agent = await lab.startAgent(quickstartConfig(lab.prefix, [[['agent', 'backend'], 'ebpf']]))
  const rows = [['iface_rx', 'rt-client'], ['iface_tx', 'rt-client'], ['iface_rx', 'rt-server'], ['iface_tx', 'rt-server'], ['zone_in', 'clients'], ['zone_out', 'clients'], ['zone_in', 'servers'], ['zone_out', 'servers'], ['policy', 'tools']] as const
  const read = async (): Promise<ReadonlyArray<readonly [number, number]>> => await Promise.all(rows.map(async ([block, row]) => await counted(agent, block, row)))
  const sent = async (): Promise<number> => await sentBy(client, 'eth0') + await sentBy(lab.netns('lan'), 'uplink')

  /** What grew while `count` datagrams went there and back; `null`: something else was sent meanwhile. */
  const exchange = async (to: string, bytes: number, count: number): Promise<ReadonlyArray<readonly [number, number]> | null> => {
    // The senders are asked outside, the counters inside: a frame between the two is seen as another's, never as ours.
    const sentBefore = await sent()
    const before = await read()
    const f = await echo(client, { kind: 'udp', host: to, port: ports.echo, count, bytes, intervalMs: 2 })
    t.same([f.error, f.received], [null, count])
    const after = await read()
    const sentAfter = await sent()
    return sentAfter - sentBefore === 2 * count ? after.map((row, i) => [row[0] - (before[i]?.[0] ?? 0), row[1] - (before[i]?.[1] ?? 0)] as const) : null
  }
  for (const [to, bytes, count] of [[addresses.s1.v4, 100, 300], [addresses.s2.v6, 1200, 200], [addresses.s2.v4, 18, 500]] as const) {
    const name = `${count} datagrams of ${bytes} bytes to ${to}`
    let grew: Awaited<ReturnType<typeof exchange>> = null
    let had = new Set<string>()
    for (let tries = 0; grew === null && tries < 5; tries++) {
      had = new Set((await agent.sessions()).map((s) => s.id))
      grew = await exchange(to, bytes, count)
    }
    const asked = (to.includes(':') ? 40 : 20) + 8 + bytes
    const answered = asked + NAMED
    const [there, back] = [[count, count * asked], [count, count * answered]]
    const frames = (l3: number): number[] => [count, count * (LINK_HEADER + l3)]
    t.same(Object.fromEntries(rows.map(([block, row], i) => [`${block} ${row}`, grew?.[i]])), {
      'iface_rx rt-client': frames(asked), 'iface_tx rt-client': frames(answered), 'iface_rx rt-server': frames(answered), 'iface_tx rt-server': frames(asked),
      'zone_in clients': there, 'zone_out clients': back, 'zone_in servers': back, 'zone_out servers': there, 'policy tools': [2 * count, count * (asked + answered)]
    }, name)
    const session = (await agent.sessions()).find((s) => !had.has(s.id) && s.dport === ports.echo)
    t.same([session?.packets_forward, session?.bytes_forward, session?.packets_reply, session?.bytes_reply], [...there, ...back], `${name}: its session`)
  }
  t.equal((await agent.stop()).code, 0, agentSaid(lab))
})
