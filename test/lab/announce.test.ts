/**
 * A takeover as the neighbours see it: a client that has the addresses of a redundancy group at another MAC learns at once where they are. And what a node
 * knows of a group: links, next hops. Two namespaces, which end with this process; behind `b` the group is in VLAN 100.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { openBackends, removeInstance } from '../../src/backend/registry.js'
import { TableDataPlane } from '../../src/backend/table/index.js'
import { compile, ringInputs } from '../../src/config/index.js'
import { loadCore } from '../../src/native/load.js'
import { desiredOf, never } from '../conformance/rig.js'
import { bpfObject } from './bpf-object.js'
import { ebpfSkip } from './instance.js'
import { Background, must } from './shell.js'
import { skipReason } from './support.js'
import { until } from '../until.js'

const skip = await skipReason('cc', 'clang', 'tc')
const noEbpf = await ebpfSkip()

const NEAR = '02:00:00:00:0a:0'
const GONE = '02:00:00:00:de:ad'
const FOR_EVER = 2n ** 64n - 1n
const config = `
interfaces:
  a: {zone: inside, addresses: [10.9.1.1/24, "fd09:1::1/64"], floating-addresses: [10.9.1.254/24, "fd09:1::fe/64"]}
  b: {vlan: 100, zone: outside, addresses: [10.9.2.1/24, "fd09:2::1/64"], floating-addresses: [10.9.2.254/24, "fd09:2::fe/64"]}
zones: {inside: {}, outside: {}}
routes: [{prefix: 0.0.0.0/0, via: 10.9.1.2}]
vips: {v: {address: 10.9.1.80, port: 80, pools: [{reals: [{address: 10.9.1.66}]}]}}
`
/** Address of the group -> link that it is behind. */
const announced = { '10.9.1.254': 'a', 'fd09:1::fe': 'a', '10.9.1.80': 'a', '10.9.2.254': 'b', 'fd09:2::fe': 'b' }

class Rig {
  private constructor (readonly dataplane: TableDataPlane, private readonly near: Background, private readonly far: Background) {}

  static async open (t: Test): Promise<Rig> {
    const directory = mkdtempSync(join(tmpdir(), 'ls-announce-'))
    t.teardown(() => { rmSync(directory, { recursive: true, force: true }) })
    const place = async (name: string): Promise<Background> => {
      const holder = new Background(name, null, ['unshare', '--net', 'sh', '-c', 'echo 0 > /proc/sys/net/ipv6/conf/default/accept_dad; echo ready; exec sleep infinity'])
      t.teardown(async () => { await holder.stop('SIGKILL') })
      await holder.says('ready')
      return holder
    }
    const [near, far] = [await place('near end'), await place('far end')]
    const untag = await bpfObject('untag', directory)
    const instance = `announce-${process.pid}`
    const desired = desiredOf(config)
    const agent = { ...desired.agent, netns: `/proc/${near.pid}/ns/net` }
    const core = loadCore()
    const backends = await openBackends({ core, agent, instance, stateDirectory: directory, workers: 1, backend: 'userspace', dpdkLog: () => undefined, tell: () => undefined })
    const dataplane = new TableDataPlane({
      core, table: backends.table, workers: 1, netns: agent.netns, backend: 'userspace', inherited: false, forwarders: backends.forwarders,
      compiler: { rings: (d) => ringInputs(d), weight: () => (_, real) => real.weight, compile: (d, ports, rings, generation) => compile(d, { ports }, d.ids, rings, new Date(), generation) }
    })
    t.teardown(async () => {
      await dataplane.teardown()
      backends.table.close()
      backends.close()
      if (noEbpf === false) await removeInstance(instance)
    })
    const rig = new Rig(dataplane, near, far)
    for (const [i, name] of ['a', 'b'].entries()) {
      await rig.at(near, 'ip', 'link', 'add', 'name', name, 'address', `${NEAR}${i}`, 'type', 'veth', 'peer', 'name', name, 'netns', String(far.pid))
      for (const end of [far, near]) {
        await rig.at(end, 'ethtool', '-K', name, 'gro', end === far ? 'on' : 'off', 'tx', 'off', 'tso', 'off', 'gso', 'off')
        await rig.at(end, 'ip', 'addr', 'add', `10.9.${i + 1}.${end === far ? 2 : 1}/24`, 'dev', name)
        await rig.at(end, 'ip', 'addr', 'add', `fd09:${i + 1}::${end === far ? 2 : 1}/64`, 'dev', name, 'nodad')
        await rig.at(end, 'ip', 'link', 'set', 'dev', name, 'up')
      }
    }
    await rig.at(far, 'tc', 'qdisc', 'add', 'dev', 'b', 'clsact')
    await rig.at(far, 'tc', 'filter', 'add', 'dev', 'b', 'ingress', 'bpf', 'direct-action', 'obj', untag, 'sec', 'tc')
    await dataplane.start(never)
    await dataplane.config.apply({ ...desired, agent }, 1, never)
    return rig
  }

  private async at (end: Background, ...argv: string[]): Promise<string> { return await must({ netns: null, argv: ['nsenter', `--net=/proc/${end.pid}/ns/net`, '--', ...argv] }) }
  async client (...argv: string[]): Promise<string> { return await this.at(this.far, ...argv) }

  /** The client has every address at a host that is gone. */
  async forget (state: 'stale' | 'reachable'): Promise<void> {
    for (const [address, dev] of Object.entries(announced)) await this.client('ip', 'neigh', 'replace', address, 'lladdr', GONE, 'dev', dev, 'nud', state)
  }

  async known (): Promise<Record<string, string>> {
    const entries = JSON.parse(await this.client('ip', '-j', 'neigh')) as Array<{ readonly dst: string, readonly dev: string, readonly lladdr?: string }>
    return Object.fromEntries(entries.filter(e => e.dst in announced).map(e => [e.dst, `${e.dev} ${e.lladdr ?? ''}`]))
  }
}

const wanted = Object.fromEntries(Object.entries(announced).map(([address, dev]) => [address, `${dev} ${NEAR}${dev === 'a' ? 0 : 1}`]))
const stale = Object.fromEntries(Object.entries(announced).map(([address, dev]) => [address, `${dev} ${GONE}`]))
const same = (a: object, b: object): boolean => Object.entries(b).every(([key, value]) => (a as Record<string, unknown>)[key] === value)

async function takeover (t: Test, rig: Rig): Promise<void> {
  const { ha, announcer } = rig.dataplane
  for (const state of ['stale', 'reachable'] as const) {
    ha.setRole(0, 'standby', 256n)
    await rig.forget(state)
    announcer.announce(0)
    t.same(await rig.known(), stale, `${state} entries of another node; a standby announces nothing`)
    announcer.withdraw(0)
    ha.setRole(0, 'owner', 512n)
    ha.stampLease(0, FOR_EVER)
    announcer.announce(0)
    await until('the client knows where the addresses are', async () => same(await rig.known(), wanted))
    t.same(await rig.known(), wanted)
    announcer.withdraw(0)
  }
  t.same(rig.dataplane.degraded().filter(line => line.includes('announcements')), [])
}

t.test('after a takeover a client knows the new place of each address, IPv4 and IPv6, tagged too', { skip }, async t => {
  const rig = await Rig.open(t)
  await t.test('userspace', async t => { await takeover(t, rig) })
  await t.test('ebpf: programs on the ports do not see what is announced', { skip: noEbpf }, async t => {
    await rig.dataplane.switchTo('ebpf', never)
    await takeover(t, rig)
    await rig.dataplane.switchTo('userspace', never)
  })
  await t.test('what cannot be sent is told', async t => {
    await rig.client('ip', 'link', 'set', 'dev', 'b', 'down')
    await until('the link is down', () => !rig.dataplane.interfaceUp('b'))
    rig.dataplane.announcer.announce(0)
    t.match(rig.dataplane.degraded().join('\n'), /^redundancy group 0: 3 of 8 announcements of its addresses could not be sent/m)
    rig.dataplane.announcer.withdraw(0)
  })
})

t.test('what a node has of a group: carriers, gateways, reals; a monitored neighbour is asked for', { skip }, async t => {
  const rig = await Rig.open(t)
  const { dataplane } = rig
  await until('the gateway is resolved, the real is not there', () => dataplane.haFacts(0).nextHopsUnresolved === 1)
  await until('both carriers are there', () => dataplane.haFacts(0).interfacesDown.length === 0)
  t.equal(dataplane.haFacts(1).nextHopsUnresolved, 0, 'another group has none')
  await rig.client('ip', 'addr', 'add', '10.9.1.66/24', 'dev', 'a')
  await until('the real is there', () => dataplane.haFacts(0).nextHopsUnresolved === 0)
  t.notOk(dataplane.neighbourResolved('10.9.1.70'))
  await rig.client('ip', 'addr', 'add', '10.9.1.70/24', 'dev', 'a')
  await until('it is asked for until it answers', () => dataplane.neighbourResolved('10.9.1.70'))
  await rig.client('ip', 'link', 'set', 'dev', 'b', 'down')
  await until('the carrier is missed', () => dataplane.haFacts(0).interfacesDown.length > 0)
  t.same(dataplane.haFacts(0).interfacesDown, ['b'])
  t.same([dataplane.interfaceUp('a'), dataplane.interfaceUp('b'), dataplane.interfaceUp('none')], [true, false, false])
  await rig.client('ip', 'link', 'set', 'dev', 'b', 'up')
  await until('it is back', () => dataplane.haFacts(0).interfacesDown.length === 0)
})
