/** examples/quickstart.pcap holds what examples/quickstart-unprivileged.yaml says, and an agent without privileges plays it. */
import t from 'tap'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { LabAgent } from './agent.js'
import { changed } from './config.js'
import { RECORDED_BYTES_MAX, recordedFile } from './record.js'
import { addresses, macs } from './topology.js'

const example = join(dirname(recordedFile), 'quickstart-unprivileged.yaml')

interface Frame { readonly whole: boolean, readonly to: string, readonly from: string, readonly type: number }

/** Classic pcap, little-endian, Ethernet: draft-ietf-opsawg-pcap. */
function frames (file: Buffer): Frame[] {
  const found: Frame[] = []
  const mac = (at: number): string => [...file.subarray(at, at + 6)].map((b) => b.toString(16).padStart(2, '0')).join(':')
  for (let at = 24; at < file.length;) {
    const captured = file.readUInt32LE(at + 8)
    found.push({ whole: captured === file.readUInt32LE(at + 12), to: mac(at + 16), from: mac(at + 22), type: file.readUInt16BE(at + 28) })
    at += 16 + captured
  }
  return found
}

t.test('the capture is small, whole, and of the client only', async (t) => {
  const file = readFileSync(recordedFile)
  t.ok(file.length <= RECORDED_BYTES_MAX, `${file.length} bytes`)
  t.equal(file.readUInt32LE(0), 0xa1b2c3d4)
  const all = frames(file)
  t.ok(all.length > 100 && all.every((f) => f.whole), `${all.length} whole frames`)
  t.same([...new Set(all.map((f) => `${f.from} ${f.to}`))], [`${macs.client} ${macs.routerClient}`])
  t.same([...new Set(all.map((f) => f.type))].sort(), [0x0800, 0x86dd])
  t.match(readFileSync(example, 'utf8'), new RegExp(`mac: "${macs.routerClient}"`), 'the example knows the router\'s address')
  t.match(readFileSync(example, 'utf8'), new RegExp(`${addresses.client.v4}: "${macs.client}"`), 'and the client\'s')
})

t.test('an agent plays it: sessions of every kind, and no frame that is not understood', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'lockstep-recorded-'))
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  const agent = await LabAgent.start({ directory, instance: 'recorded' }, changed(readFileSync(example, 'utf8'), [
    [['interfaces', 'clients-pcap', 'port'], `pcap:${recordedFile}`], [['interfaces', 'clients-pcap', 'replay'], { loops: 1, rate: 500 }],
    [['traffic-sources', 'clients', 'rate'], 100]
  ]))
  t.teardown(async () => { await agent.stop() })
  const wanted = frames(readFileSync(recordedFile)).length
  let rx = 0
  for (let i = 0; i < 600 && rx < wanted; i++) {
    await sleep(100)
    rx = (await agent.counters('iface_rx'))['iface_rx']?.['clients-pcap'] ?? 0
  }
  t.equal(rx, wanted, 'every frame was received')
  const rows = await agent.sessions('--source', addresses.client.v4)
  const six = await agent.sessions('--source', addresses.client.v6)
  t.same([...new Set(rows.map((s) => s.proto))].sort((a, b) => a - b), [1, 6, 17])
  t.same([...new Set(six.map((s) => s.proto))].sort((a, b) => a - b), [6, 17, 58])
  t.ok(rows.some((s) => s.vip === 'web4') && six.some((s) => s.vip === 'web6'), 'through both VIPs')
  const drops = (await agent.counters('drops'))['drops'] ?? {}
  t.comment(JSON.stringify(drops))
  for (const reason of ['truncated', 'malformed_ip4', 'malformed_ip6', 'malformed_l4', 'bad_checksum', 'not_for_us', 'no_neighbour', 'frag_no_first', 'tcp_not_syn', 'tx_full']) t.equal(drops[reason] ?? 0, 0, reason)
  t.ok((drops['policy_default'] ?? 0) > 0, 'and the capture holds something to refuse')
  t.match(await agent.verify(), { ok: true, faults: [] })
  t.equal((await agent.stop()).code, 0)
  t.notOk(existsSync(agent.socket))
})
