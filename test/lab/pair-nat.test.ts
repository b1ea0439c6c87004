/** The owner dies with a pool of source NAT nearly used up: the server never sees two live flows under one tuple, and no flow changes its own. */
import t from 'tap'
import { ebpfSkip } from './instance.js'
import { loadServer, udpTuples, type UdpTuplesFigures } from './load.js'
import { peerOf } from './pair-failover.js'
import { openPairLab } from './pair-lab.js'
import { full, skipReason } from './support.js'
import { addresses } from './topology.js'

t.setTimeout(full ? 600_000 : 300_000)
const WITHIN_MS = 60_000
const PORTS = full ? 20_000 : 2000
const used = PORTS * 0.95

for (const backend of ['userspace', 'ebpf'] as const) {
  const skip = backend === 'ebpf' ? await ebpfSkip('cc') : await skipReason('cc')
  t.test(`a pool at 95 % on ${backend}`, { skip }, async (t) => {
    const lab = await openPairLab(t, `pn${backend[0] ?? ''}`, {
      backend, more: `nat:
  pools:
    hide: {addresses: 10.77.2.100, ports: ${20_000}-${20_000 + PORTS - 1}}
  source:
    - {name: hidden, from: clients, to: servers, applications: udp/7000, translate: pool, pool: hide}
timeouts: {udp-new: 300s}`
    })
    await Promise.all([lab.start('r1'), lab.start('r2')])
    await lab.settled('r1', WITHIN_MS)
    const server = await loadServer(lab.topology, 's1', 'udp_tuples', ['7000', String(PORTS)])
    const job = { to: addresses.s1.v4, port: 7000, rate: 4000, from: [addresses.client.v4] }
    // Twice: what was lost on the way, or found no port among its tries, has a second chance.
    for (let i = 0; i < 2; i++) await udpTuples(lab.topology, { ...job, flows: used })
    await lab.until(async () => {
      const [mine, theirs] = [await lab.agent('r1').count('--snat', 'yes'), await lab.agent('r2').count('--snat', 'yes')]
      return mine >= 0.9 * PORTS && mine === theirs ? null : `${mine} and ${theirs} sessions hold a port`
    }, WITHIN_MS)
    await lab.killNode('r1')
    await lab.until(async () => (await lab.group('r2')).role === 'owner' ? null : 'r2 does not own', WITHIN_MS)
    // The same flows go on, new ones take what is left.
    for (let i = 0; i < 2; i++) await udpTuples(lab.topology, { ...job, flows: PORTS })
    const held = await lab.agent(peerOf('r1')).count('--snat', 'yes')
    const seen = await server.stop() as UdpTuplesFigures
    t.comment(`${seen.flows} flows under ${seen.sources} tuples, ${seen.datagrams} datagrams; ${held} sessions hold one of ${PORTS} ports`)
    t.ok(seen.flows > used * 0.99, `${seen.flows} flows reached the server`)
    t.equal(seen.shared, 0, 'no two flows share a tuple')
    t.equal(seen.moved, 0, 'no flow changes its tuple')
    t.ok(held <= PORTS)
  })
}
