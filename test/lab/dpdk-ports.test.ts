/** Ports of the dpdk backend that are no interfaces of the kernel: net_tap, and net_memif with testpmd at its other end, between a client and a router on net_af_packet. */
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { probeBackends } from '../../src/backend/registry.js'
import { quickstartConfig, shortTimeouts } from './config.js'
import { ports } from './servers.js'
import { agentSaid, openLab, skipReason } from './support.js'
import { Background, must, run } from './shell.js'
import { addresses, macs } from './topology.js'
import { curl, echo, httpUrl, iperf, ping } from './traffic.js'
import type { Lab } from './lab.js'

const dpdk = probeBackends().find(p => p.backend === 'dpdk')
const skip = await skipReason('curl', 'ping', 'iperf3') || (dpdk?.available === true ? false : dpdk?.reason ?? 'no dpdk backend')
const HOST_END = 'rt-dpdk'

/** The router's addresses on the client's side belong to the port's TAP. */
async function giveAddresses (lab: Lab): Promise<void> {
  const at = async (...argv: string[]): Promise<void> => { await must({ netns: lab.netns('router'), argv }) }
  await at('ip', 'addr', 'add', `${addresses.routerClient.v4}/24`, 'dev', HOST_END)
  await at('ip', 'addr', 'add', `${addresses.routerClient.v6}/64`, 'dev', HOST_END, 'nodad')
  await at('ip', 'link', 'set', HOST_END, 'up')
}

async function forwards (t: Test, lab: Lab): Promise<void> {
  const client = lab.netns('client')
  for (let i = 0; (await ping({ netns: client, to: addresses.s1.v4, count: 1, waitS: 1 })).received === 0; i++) if (i === 20) throw new Error(`it does not forward: ${agentSaid(lab).slice(-2000)}`)
  for (const to of [addresses.s1.v4, addresses.s2.v6, addresses.routerClient.v4, addresses.routerClient.v6]) t.equal((await ping({ netns: client, to, count: 5 })).received, 5, to)
  for (const url of [httpUrl(addresses.vip.v4, '1m.bin'), httpUrl(addresses.vip.v6, '1m.bin'), httpUrl(addresses.s1.v4, '1m.bin', 8080)]) {
    t.same((await curl({ netns: client, url, count: 16, parallel: 4, sha256: lab.servers.bigSha256, timeoutS: 20 })).failures, {}, url)
  }
  for (const to of [addresses.s1.v4, addresses.s2.v6]) {
    const f = await echo(client, { kind: 'udp', host: to, port: ports.echo, count: 50, bytes: 600 })
    t.same([f.error, f.received], [null, 50], `udp ${to}`)
    for (const reverse of [false, true]) {
      const i = await iperf({ netns: client, to, seconds: 1, reverse })
      t.equal(i.error, null, to)
      t.comment(`${to}${reverse ? ', reverse' : ''}: ${i.gbitPerS} Gbit/s`)
    }
  }
}

const config = (lab: Lab, devargs: string): string => quickstartConfig(lab.prefix, [shortTimeouts, [['agent', 'backend'], 'dpdk'], [['interfaces', 'rt-client', 'port'], `dpdk:${HOST_END}`], [['interfaces', 'rt-client', 'devargs'], devargs]])

t.test('net_tap: its kernel end and the client on one bridge', { skip }, async (t) => {
  const lab = await openLab(t, 'dtap')
  const router = lab.netns('router')
  const agent = await lab.startAgent(config(lab, `net_tap0,iface=wire,mac=${macs.routerClient}`))
  await giveAddresses(lab)
  // a bridge takes the MACs of its ports for its own; and the wire must stay here, where the driver asks for its link
  for (const argv of [
    ['ip', 'link', 'set', 'wire', 'address', '02:77:01:00:00:77'], ['ip', 'link', 'set', 'rt-client', 'address', '02:77:01:00:00:78'], ['ip', 'addr', 'flush', 'dev', 'rt-client'], ['sh', '-c', 'echo 1 > /proc/sys/net/ipv4/conf/all/arp_ignore'],
    ['ip', 'link', 'add', 'wires', 'type', 'bridge', 'stp_state', '0', 'mcast_snooping', '0'], ...['wire', 'rt-client', 'wires'].flatMap(dev => [...dev === 'wires' ? [] : [['ip', 'link', 'set', dev, 'master', 'wires']], ['ip', 'link', 'set', dev, 'up']])
  ]) await must({ netns: router, argv })
  await forwards(t, lab)
  await must({ netns: router, argv: ['ip', 'link', 'del', HOST_END] })
  const reasons = async (): Promise<string> => (await agent.json<{ reasons?: readonly string[] }>(['status'])).reasons?.join('; ') ?? ''
  for (let i = 0; !agent.log.includes(`${HOST_END} is gone`) || !(await reasons()).includes(HOST_END); i++) {
    if (i === 100) throw new Error(`that its TAP is gone is not told: ${await reasons()}; ${agentSaid(lab)}`)
    await sleep(100)
  }
  t.equal((await ping({ netns: router, to: addresses.s1.v4, count: 2 })).received, 2, 'the other port goes on')
  await must({ netns: router, argv: ['ip', 'tuntap', 'add', HOST_END, 'mode', 'tap'] })
  await giveAddresses(lab)
  // the port is made anew, and with it the kernel's end of net_tap
  const joinWire = async (): Promise<void> => { for (const argv of [['address', '02:77:01:00:00:77'], ['master', 'wires'], ['up']]) await run(['ip', 'link', 'set', 'wire', ...argv], { netns: router }) }
  for (let i = 0; (await ping({ netns: lab.netns('client'), to: addresses.s1.v4, count: 1, waitS: 1 })).received === 0; i++) {
    if (i === 20) throw new Error(`it is not taken again: ${await reasons()}; ${agentSaid(lab)}`)
    await joinWire()
  }
  t.notMatch(await reasons(), HOST_END)
  await forwards(t, lab)
  t.match(await agent.verify(), { ok: true, faults: [] })
  t.equal((await agent.stop()).code, 0, agentSaid(lab))
  t.equal((await run(['ip', 'link', 'show', HOST_END], { netns: router })).code, 0, 'its TAP has the operator’s addresses: it stays for the next start')
})

t.test('net_memif: another process of DPDK at its other end', { skip: skip || await skipReason('dpdk-testpmd') }, async (t) => {
  const lab = await openLab(t, 'dmemif', { attacker: true })
  const [router, between] = [lab.netns('router'), lab.netns('attacker')]
  await must({ netns: router, argv: ['ip', 'link', 'set', 'rt-client', 'netns', between] })
  await must({ netns: between, argv: ['ip', 'link', 'set', 'rt-client', 'up'] })
  const socket = join(lab.topology.directory, 'memif.sock')
  const prefix = `lockstep-${lab.prefix}-wire`
  const wire = new Background('testpmd', between, ['dpdk-testpmd', '--no-huge', '-m', '128', '--no-pci', '--no-telemetry', '--no-shconf', `--file-prefix=${prefix}`, '--lcores=(0-1)@(0-1)',
    `--vdev=net_memif0,role=server,socket-abstract=no,socket=${socket}`, '--vdev=net_af_packet0,iface=rt-client', '--', '--nb-cores=1', '--forward-mode=io', '--total-num-mbufs=8192', '--auto-start', '--no-lsc-interrupt', '--stats-period=3600'])
  t.teardown(async () => {
    wire.child.kill('SIGKILL')
    await wire.ended
    rmSync(`/var/run/dpdk/${prefix}`, { recursive: true, force: true })
  })
  await wire.says('Port statistics', 30_000)
  const agent = await lab.startAgent(config(lab, `net_memif0,role=client,socket-abstract=no,socket=${socket},mac=${macs.routerClient}`))
  await giveAddresses(lab)
  await forwards(t, lab)
  t.match(await agent.verify(), { ok: true, faults: [] })
  wire.child.kill('SIGKILL')
  await wire.ended
  for (let i = 0; !agent.log.includes(`port dpdk:${HOST_END}: link down`); i++) {
    if (i === 100) t.fail('that the other end is gone is not told')
    else if (i < 100) await sleep(100)
    else break
  }
  t.equal((await ping({ netns: router, to: addresses.s1.v4, count: 2 })).received, 2, 'the other port goes on')
  t.equal((await agent.stop()).code, 0, agentSaid(lab))
})
