/** Answers that real daemons gave at known moments: link cut at 00:13:45, reset at 00:13:35, shut down by the peer at 00:13:58, and their like. */
import t from 'tap'
import { birdLines, birdNeighbours, birdServerTime } from '../../../src/bgp/providers/bird.js'
import { BmpReader, BmpRouter } from '../../../src/bgp/providers/bmp.js'
import { frrDetails, frrSummary } from '../../../src/bgp/providers/frr.js'
import { gobgpNeighbour } from '../../../src/bgp/providers/gobgp.js'
import type { BgpNeighbour } from '../../../src/contract/bgp.js'
import { gobgpPeer } from './gobgp-json.js'
import { answers, captured, json, line } from './support.js'

/** BIRD tells times of day: beside its clock they are ages, before this moment. */
const READ = Date.parse('2026-11-21T00:30:00Z')

const table: Readonly<Record<string, readonly string[]>> = {
  'frr-bird/bird_raw_birddisabled.txt': [
    'default/169.254.0.0, as 65001, shut, idle, since 11-21T00:29:58.441, prefixes 0, to A',
    'default/169.254.0.5, as 65003, UP, established, since 11-21T00:29:13.305, local 169.254.0.4, prefixes 0',
    'default/169.254.0.99, as 65009, no, active, since 11-21T00:29:08.912, prefixes 0, Socket: Network is unreachable',
    'default/169.254.0.98, as 65008, shut, idle, since 11-21T00:29:08.912, prefixes 0'
  ],
  'frr-bird/bird_raw_cleared.txt': [
    'default/169.254.0.0, as 65001, no, active, since 11-21T00:29:58.764, prefixes 0, to A, Received: Administrative reset',
    'default/169.254.0.5, as 65003, UP, established, since 11-21T00:29:37.072, local 169.254.0.4, prefixes 0',
    'default/169.254.0.99, as 65009, no, active, since 11-21T00:29:32.679, prefixes 0, Socket: Network is unreachable',
    'default/169.254.0.98, as 65008, shut, idle, since 11-21T00:29:32.679, prefixes 0'
  ],
  'frr-bird/bird_raw_final.txt': [
    'default/169.254.0.0, as 65001, UP, established, since 11-21T00:29:51.738, local 169.254.0.1, prefixes 0, to A',
    'default/169.254.0.5, as 65003, UP, established, since 11-21T00:29:04.590, local 169.254.0.4, prefixes 0',
    'default/169.254.0.99, as 65009, no, active, since 11-21T00:29:00.197, prefixes 0, Socket: Network is unreachable',
    'default/169.254.0.98, as 65008, shut, idle, since 11-21T00:29:00.197, prefixes 0'
  ],
  'frr-bird/bird_raw_linkdown.txt': [
    'default/169.254.0.0, as 65001, UP, established, since 11-21T00:29:39.688, local 169.254.0.1, prefixes 0, to A',
    'default/169.254.0.5, as 65003, UP, established, since 11-21T00:29:15.980, local 169.254.0.4, prefixes 0',
    'default/169.254.0.99, as 65009, no, active, since 11-21T00:29:11.587, prefixes 0, Socket: Network is unreachable',
    'default/169.254.0.98, as 65008, shut, idle, since 11-21T00:29:11.587, prefixes 0'
  ],
  'frr-bird/bird_raw_reestab.txt': [
    'default/169.254.0.0, as 65001, UP, established, since 11-21T00:29:52.265, local 169.254.0.1, prefixes 0, to A',
    'default/169.254.0.5, as 65003, UP, established, since 11-21T00:29:28.557, local 169.254.0.4, prefixes 0',
    'default/169.254.0.99, as 65009, no, active, since 11-21T00:29:24.164, prefixes 0, Socket: Network is unreachable',
    'default/169.254.0.98, as 65008, shut, idle, since 11-21T00:29:24.164, prefixes 0'
  ],
  'frr-bird/bird_raw_up.txt': [
    'default/169.254.0.0, as 65001, UP, established, since 11-21T00:29:35.364, local 169.254.0.1, prefixes 0, to A',
    'default/169.254.0.5, as 65003, UP, established, since 11-21T00:29:38.660, local 169.254.0.4, prefixes 0',
    'default/169.254.0.99, as 65009, no, active, since 11-21T00:29:34.267, prefixes 0, Socket: Network is unreachable',
    'default/169.254.0.98, as 65008, shut, idle, since 11-21T00:29:34.267, prefixes 0'
  ],
  'frr-bird/frr_vrf_all_neighbors_birddisabled.json': [
    'default/169.254.0.1, as 65002, no, idle, since 11-21T00:13:59.000, local 169.254.0.0, drops 2, prefixes 0, user-1, BGP Notification received: Cease/Administrative Shutdown',
    'default/169.254.0.3, as 65003, UP, established, since 11-21T00:13:59.000, local 169.254.0.2, drops 1, prefixes 1, rtt 531000000, Waiting for peer OPEN',
    'default/169.254.0.9, as 65009, no, active, since ?, drops 0, prefixes 0, never-up, Waiting for NHT'
  ],
  'frr-bird/frr_vrf_all_neighbors_birddown.json': [
    'default/169.254.0.1, as 65002, no, active, since 11-21T00:14:09.000, drops 3, prefixes 0, user-1, BGP Notification received: Cease/Administrative Shutdown',
    'default/169.254.0.3, as 65003, UP, established, since 11-21T00:13:58.000, local 169.254.0.2, drops 1, prefixes 0, rtt 219000000, Waiting for peer OPEN',
    'default/169.254.0.9, as 65009, no, active, since ?, drops 0, prefixes 0, never-up, Waiting for NHT'
  ],
  'frr-bird/frr_vrf_all_neighbors_cleared.json': [
    'default/169.254.0.1, as 65002, no, idle, since 11-21T00:13:35.000, local 169.254.0.0, drops 1, prefixes 0, user-1, User reset',
    'default/169.254.0.3, as 65003, UP, established, since 11-21T00:13:10.000, local 169.254.0.2, drops 0, prefixes 1, rtt 2000000, Waiting for peer OPEN',
    'default/169.254.0.9, as 65009, no, active, since ?, drops 0, prefixes 0, never-up, Waiting for NHT'
  ],
  'frr-bird/frr_vrf_all_neighbors_final.json': [
    'default/169.254.0.1, as 65002, UP, established, since 11-21T00:14:00.000, local 169.254.0.0, drops 2, prefixes 1, rtt 4000000, user-1, BGP Notification received: Cease/Administrative Shutdown',
    'default/169.254.0.3, as 65003, UP, established, since 11-21T00:13:58.000, local 169.254.0.2, drops 1, prefixes 1, rtt 280000000, Waiting for peer OPEN',
    'default/169.254.0.9, as 65009, no, active, since ?, drops 0, prefixes 0, never-up, Waiting for NHT'
  ],
  'frr-bird/frr_vrf_all_neighbors_linkdown.json': [
    'default/169.254.0.1, as 65002, UP, established, since 11-21T00:13:37.000, local 169.254.0.0, drops 1, prefixes 1, rtt 2000000, user-1, User reset',
    'default/169.254.0.3, as 65003, no, active, since 11-21T00:13:45.000, drops 1, prefixes 0, Waiting for NHT',
    'default/169.254.0.9, as 65009, no, active, since ?, drops 0, prefixes 0, never-up, Waiting for NHT'
  ],
  'frr-bird/frr_vrf_all_neighbors_reestab.json': [
    'default/169.254.0.1, as 65002, UP, established, since 11-21T00:13:37.000, local 169.254.0.0, drops 1, prefixes 1, rtt 4000000, user-1, User reset',
    'default/169.254.0.3, as 65003, UP, established, since 11-21T00:13:10.000, local 169.254.0.2, drops 0, prefixes 1, rtt 7000000, Waiting for peer OPEN',
    'default/169.254.0.9, as 65009, no, active, since ?, drops 0, prefixes 0, never-up, Waiting for NHT'
  ],
  'frr-bird/frr_vrf_all_neighbors_up.json': [
    'default/169.254.0.1, as 65002, UP, established, since 11-21T00:13:10.000, local 169.254.0.0, drops 0, prefixes 1, rtt 1000000, user-1, Waiting for peer OPEN',
    'default/169.254.0.3, as 65003, UP, established, since 11-21T00:13:10.000, local 169.254.0.2, drops 0, prefixes 1, rtt 2000000, Waiting for peer OPEN',
    'default/169.254.0.9, as 65009, no, active, since ?, drops 0, prefixes 0, never-up, Waiting for NHT'
  ],
  'frr-bird/frr_vrf_all_summary_birddisabled.json': [
    'default/169.254.0.1, as 65002, no, idle, since 11-21T00:13:59.000, drops 2, prefixes 0, user-1',
    'default/169.254.0.3, as 65003, UP, established, since 11-21T00:13:59.000, drops 1, prefixes 1',
    'default/169.254.0.9, as 65009, no, active, since ?, drops 0, prefixes 0, never-up'
  ],
  'frr-bird/frr_vrf_all_summary_birddown.json': [
    'default/169.254.0.1, as 65002, no, active, since 11-21T00:14:09.000, drops 3, prefixes 0, user-1',
    'default/169.254.0.3, as 65003, UP, established, since 11-21T00:13:58.000, drops 1, prefixes 0',
    'default/169.254.0.9, as 65009, no, active, since ?, drops 0, prefixes 0, never-up'
  ],
  'frr-bird/frr_vrf_all_summary_cleared.json': [
    'default/169.254.0.1, as 65002, no, idle, since 11-21T00:13:35.000, drops 1, prefixes 0, user-1',
    'default/169.254.0.3, as 65003, UP, established, since 11-21T00:13:10.000, drops 0, prefixes 1',
    'default/169.254.0.9, as 65009, no, active, since ?, drops 0, prefixes 0, never-up'
  ],
  'frr-bird/frr_vrf_all_summary_final.json': [
    'default/169.254.0.1, as 65002, UP, established, since 11-21T00:14:00.000, drops 2, prefixes 1, user-1',
    'default/169.254.0.3, as 65003, UP, established, since 11-21T00:13:58.000, drops 1, prefixes 1',
    'default/169.254.0.9, as 65009, no, active, since ?, drops 0, prefixes 0, never-up'
  ],
  'frr-bird/frr_vrf_all_summary_linkdown.json': [
    'default/169.254.0.1, as 65002, UP, established, since 11-21T00:13:37.000, drops 1, prefixes 1, user-1',
    'default/169.254.0.3, as 65003, no, active, since 11-21T00:13:45.000, drops 1, prefixes 0',
    'default/169.254.0.9, as 65009, no, active, since ?, drops 0, prefixes 0, never-up'
  ],
  'frr-bird/frr_vrf_all_summary_reestab.json': [
    'default/169.254.0.1, as 65002, UP, established, since 11-21T00:13:37.000, drops 1, prefixes 1, user-1',
    'default/169.254.0.3, as 65003, UP, established, since 11-21T00:13:10.000, drops 0, prefixes 1',
    'default/169.254.0.9, as 65009, no, active, since ?, drops 0, prefixes 0, never-up'
  ],
  'frr-bird/frr_vrf_all_summary_up.json': [
    'default/169.254.0.1, as 65002, UP, established, since 11-21T00:13:10.000, drops 0, prefixes 1, user-1',
    'default/169.254.0.3, as 65003, UP, established, since 11-21T00:13:10.000, drops 0, prefixes 1',
    'default/169.254.0.9, as 65009, no, active, since ?, drops 0, prefixes 0, never-up'
  ],
  'frr-bird/gobgp_birddisabled.json': [
    'default/169.254.0.77, as 65077, no, active, since 11-21T00:13:09.000, prefixes 0',
    'default/169.254.0.2, as 65001, UP, established, since 11-21T00:13:58.000, local 169.254.0.3, prefixes 1, to A',
    'default/169.254.0.4, as 65002, UP, established, since 11-21T00:13:13.000, local 169.254.0.5, prefixes 1'
  ],
  'frr-bird/gobgp_birddown.json': [
    'default/169.254.0.77, as 65077, no, active, since 11-21T00:13:09.000, prefixes 0',
    'default/169.254.0.2, as 65001, UP, established, since 11-21T00:13:58.000, local 169.254.0.3, prefixes 0, to A',
    'default/169.254.0.4, as 65002, no, idle, since 11-21T00:14:09.000, local 169.254.0.5, prefixes 0'
  ],
  'frr-bird/gobgp_cleared.json': [
    'default/169.254.0.4, as 65002, UP, established, since 11-21T00:13:13.000, local 169.254.0.5, prefixes 1',
    'default/169.254.0.77, as 65077, no, active, since 11-21T00:13:09.000, prefixes 0',
    'default/169.254.0.2, as 65001, UP, established, since 11-21T00:13:10.000, local 169.254.0.3, prefixes 1, to A'
  ],
  'frr-bird/gobgp_final.json': [
    'default/169.254.0.2, as 65001, UP, established, since 11-21T00:13:58.000, local 169.254.0.3, prefixes 1, to A',
    'default/169.254.0.4, as 65002, UP, established, since 11-21T00:13:13.000, local 169.254.0.5, prefixes 1',
    'default/169.254.0.77, as 65077, no, active, since 11-21T00:13:09.000, prefixes 0'
  ],
  'frr-bird/gobgp_linkdown.json': [
    'default/169.254.0.2, as 65001, no, active, since 11-21T00:13:57.000, local 169.254.0.3, prefixes 0, to A',
    'default/169.254.0.4, as 65002, UP, established, since 11-21T00:13:13.000, local 169.254.0.5, prefixes 1',
    'default/169.254.0.77, as 65077, no, active, since 11-21T00:13:09.000, prefixes 0'
  ],
  'frr-bird/gobgp_reestab.json': [
    'default/169.254.0.4, as 65002, UP, established, since 11-21T00:13:13.000, local 169.254.0.5, prefixes 1',
    'default/169.254.0.77, as 65077, no, active, since 11-21T00:13:09.000, prefixes 0',
    'default/169.254.0.2, as 65001, UP, established, since 11-21T00:13:10.000, local 169.254.0.3, prefixes 1, to A'
  ],
  'frr-bird/gobgp_up.json': [
    'default/169.254.0.2, as 65001, UP, established, since 11-21T00:13:10.000, local 169.254.0.3, prefixes 1, to A',
    'default/169.254.0.4, as 65002, UP, established, since 11-21T00:13:13.000, local 169.254.0.5, prefixes 1',
    'default/169.254.0.77, as 65077, no, active, since 11-21T00:13:09.000, prefixes 0'
  ],
  'daemon-down/frr_birddis.json': [
    'default/169.254.0.1, as 65002, no, idle, since 11-21T00:16:52.000, drops 1, prefixes 0, user-1',
    'default/169.254.0.3, as 65003, no, active, since 11-21T00:16:41.000, drops 1, prefixes 0',
    'default/169.254.0.9, as 65009, no, active, since ?, drops 0, prefixes 0, never-up'
  ],
  'daemon-down/frr_killed.json': [
    'default/169.254.0.1, as 65002, UP, established, since 11-21T00:16:31.000, drops 0, prefixes 1, user-1',
    'default/169.254.0.3, as 65003, no, active, since 11-21T00:16:41.000, drops 1, prefixes 0',
    'default/169.254.0.9, as 65009, no, active, since ?, drops 0, prefixes 0, never-up'
  ],
  'daemon-down/frr_shutdown.json': [
    'default/169.254.0.1, as 65002, UP, established, since 11-21T00:16:30.000, drops 0, prefixes 1, user-1',
    'default/169.254.0.3, as 65003, shut, idle, since 11-21T00:16:40.000, drops 1, prefixes 0',
    'default/169.254.0.9, as 65009, no, active, since ?, drops 0, prefixes 0, never-up'
  ],
  'daemon-down/gobgp_shutdown.json': [
    'default/169.254.0.2, as 65001, no, idle, since 11-21T00:16:40.000, local 169.254.0.3, prefixes 0, to A',
    'default/169.254.0.4, as 65002, UP, established, since 11-21T00:16:33.000, local 169.254.0.5, prefixes 1',
    'default/169.254.0.77, as 65077, no, active, since 11-21T00:16:29.000, prefixes 0'
  ],
  'hung/frr_aftercont.json': [
    'default/169.254.0.1, as 65002, UP, established, since 11-21T00:24:27.000, drops 1, prefixes 0, user-1',
    'default/169.254.0.3, as 65003, no, active, since 11-21T00:24:26.000, drops 2, prefixes 0',
    'default/169.254.0.9, as 65009, no, active, since ?, drops 0, prefixes 0, never-up'
  ],
  'hung/frr_policy.json': [
    'default/169.254.0.1, as 65002, UP, established, since 11-21T00:23:54.000, drops 0, prefixes 0, user-1',
    'default/169.254.0.3, as 65003, UP, established, since 11-21T00:23:54.000, drops 0, prefixes 0',
    'default/169.254.0.9, as 65009, no, active, since ?, drops 0, prefixes 0, never-up'
  ],
  'killed-restarted/frr_afterkill.json': [
    'default/169.254.0.1, as 65002, UP, established, since 11-21T00:19:52.000, drops 0, prefixes 1, user-1',
    'default/169.254.0.3, as 65003, UP, established, since 11-21T00:20:03.000, drops 0, prefixes 1',
    'default/169.254.0.9, as 65009, no, active, since ?, drops 0, prefixes 0, never-up'
  ],
  'killed-restarted/gobgp_re.json': [
    'default/169.254.0.2, as 65001, UP, established, since 11-21T00:20:02.000, local 169.254.0.3, prefixes 1, to A'
  ]
}

function parsed (name: string): BgpNeighbour[] {
  const text = captured(name)
  if (name.includes('bird_raw')) {
    const of = answers(text)
    const server = birdServerTime(birdLines(of.get('show status') ?? ''))
    return birdNeighbours(birdLines(of.get('show protocols all') ?? ''), { at: READ, server, vrf: 'default' })
  }
  if (name.includes('gobgp')) return [json(text) as object].flat().flatMap(peer => gobgpNeighbour(gobgpPeer(peer), null))
  if (name.includes('_neighbors_')) return frrDetails(frrSummary(json(captured(name.replace('neighbors', 'summary'))), READ), json(text))
  return frrSummary(json(text), READ)
}

for (const [name, lines] of Object.entries(table)) t.test(name, async (t) => { t.same(parsed(name).map(line), lines) })

t.test('FRR: one VRF is told without its name around it, all of them with', async (t) => {
  for (const moment of ['up', 'linkdown', 'birddown', 'birddisabled', 'cleared', 'reestab', 'final']) t.same(parsed(`frr-bird/frr_summary_${moment}.json`), parsed(`frr-bird/frr_vrf_all_summary_${moment}.json`), moment)
})

t.test('FRR: another VRF, and one that is not there', async (t) => {
  const of = answers(captured('daemon-down/frr_sock.txt'))
  t.same(frrSummary(json(of.get('show bgp vrf vrf1 summary json') ?? ''), READ).map(line), ['vrf1/169.254.9.1, as 65019, no, idle, since ?, drops 0, prefixes 0'])
  t.same(frrSummary(json(of.get('show bgp vrf nosuch summary json') ?? ''), READ), [])
})

// --- BMP ---

/** Lines of the recorder: when it came, and what. */
const recorded = (name: string): Array<{ readonly at: number, readonly bytes: Buffer }> => captured(name).split('\n').flatMap((text) => {
  const [, seconds, hex] = /^(\d+\.\d+) .* ([0-9a-f]+)$/.exec(text) ?? []
  return seconds === undefined || hex === undefined ? [] : [{ at: Math.round(Number(seconds) * 1000), bytes: Buffer.from(hex, 'hex') }]
})
const last: Readonly<Record<string, readonly string[]>> = {
  'frr-bird/bmp-log.txt': [
    'default/169.254.0.1, as 65002, no, ?, since 11-21T00:14:09.348, drops 3, closed by the peer: cease, administrative shutdown',
    'default/169.254.0.3, as 65003, UP, established, since 11-21T00:13:58.666, local 169.254.0.2, drops 1, closed here without a notification',
    'default/169.254.0.9, as 65009, no, ?, since ?, drops 0'
  ],
  'daemon-down/bmp-log.txt': [
    'default/169.254.0.1, as 65002, no, ?, since 11-21T00:16:52.167, drops 1, closed by the peer: cease, administrative shutdown',
    'default/169.254.0.3, as 65003, no, ?, since 11-21T00:16:40.309, drops 1, closed here without a notification',
    'default/169.254.0.9, as 65009, no, ?, since ?, drops 0'
  ],
  'hung/bmp_frr-log.txt': [
    'default/169.254.0.1, as 65002, UP, established, since 11-21T00:24:27.605, local 169.254.0.0, drops 1, closed here without a notification',
    'default/169.254.0.3, as 65003, no, ?, since 11-21T00:24:26.601, drops 2, closed here without a notification',
    'default/169.254.0.9, as 65009, no, ?, since ?, drops 0'
  ],
  'hung/bmp_gobgp-log.txt': [
    'default/169.254.0.2, as 65001, no, ?, since 11-21T00:24:24.559, drops 2, closed here: hold timer expired',
    'default/169.254.0.4, as 65002, UP, established, since 11-21T00:23:57.973, local 169.254.0.5, drops 0'
  ]
}
for (const [name, lines] of Object.entries(last)) {
  t.test(`BMP: ${name}, whole and in pieces of every size`, async (t) => {
    for (const size of [Infinity, 1, 2, 5, 6, 7, 47, 64]) {
      const [reader, router] = [new BmpReader(), new BmpRouter(null)]
      for (const { at, bytes } of recorded(name)) {
        for (let from = 0; from < bytes.length; from += size) for (const message of reader.take(bytes.subarray(from, Math.min(bytes.length, from + size)))) router.hear(message, at)
      }
      t.same(router.neighbours.map(line), lines, `pieces of ${size}`)
    }
  })
}

t.test('BMP: a Peer Down of a session that is down changes nothing, and the clock is that of arrival', async (t) => {
  const router = new BmpRouter(null)
  const hear = (hex: string, at: number): boolean => new BmpReader().take(Buffer.from(hex, 'hex')).some(message => router.hear(message, at))
  const down = '03000000460200000000000000000000000000000000000000000000a9fe00010000fdea0a0000026b00e2460003f7c703ffffffffffffffffffffffffffffffff0015030602'
  t.equal(hear('030000001e040001000f4652526f7574696e6720382e342e340002000141', 1), false, 'an initiation')
  t.equal(hear(down, READ), true)
  t.equal(hear(down, READ + 1000), false, 'once more')
  t.same(router.neighbours.map(line), ['default/169.254.0.1, as 65002, no, ?, since ?, drops 0'], 'how long it has been down is not told')
})

t.test('BMP: what is no BMP, is of another version, or too short ends the connection', async (t) => {
  for (const [what, hex] of Object.entries({ version: '020000000605', length: '0300000003', huge: '037fffffff00' })) t.throws(() => new BmpReader().take(Buffer.from(hex.padEnd(12, '0'), 'hex')), { code: 'LS_G_BMP' }, what)
  t.throws(() => new BmpRouter(null).hear({ type: 3, body: Buffer.alloc(48) }, 1), { code: 'LS_G_BMP' })
})
