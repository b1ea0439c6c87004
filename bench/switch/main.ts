/**
 * A change of backend under traffic: 64 downloads held open and an iperf3 run through the router of the lab while it goes from userspace to ebpf and back, and where
 * there is DPDK round all three.
 *
 *   tcp_broken       downloads that failed, and the iperf3 run if it did
 *   sessions_lost    established sessions before a switch that were gone after it
 *   gap_us_p50/max   longest silence of a UDP echo at 1 kHz around each switch; what it is without a switch is gap_us_quiet, the noise of the host
 *   switch_ms_p50    what the agent says it took
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { quickstartConfig } from '../../test/lab/config.js'
import { Lab } from '../../test/lab/lab.js'
import { ports } from '../../test/lab/servers.js'
import { addresses } from '../../test/lab/topology.js'
import { curl, echoing, httpUrl, iperf } from '../../test/lab/traffic.js'
import { probeBackends } from '../../src/backend/registry.js'
import { BenchError } from '../lib/programs.js'
import { median, type SuiteResult } from '../lib/samples.js'

export interface SwitchBenchOptions {
  readonly switches: number
  readonly progress: (text: string) => void
  readonly signal: AbortSignal
}

const DOWNLOADS = 64

export async function bench ({ switches, progress, signal }: SwitchBenchOptions): Promise<SuiteResult> {
  const found = probeBackends()
  const ebpf = found.find(p => p.backend === 'ebpf')
  const dpdk = found.find(p => p.backend === 'dpdk')
  const round = ['ebpf', ...dpdk?.available === true ? ['dpdk', 'userspace', 'dpdk', 'ebpf', 'userspace'] : ['userspace']]
  if (process.getuid?.() !== 0) throw new BenchError('the switch bench needs root: it makes network namespaces')
  if (ebpf?.available !== true) throw new BenchError(`the ebpf backend cannot run here: ${ebpf?.reason ?? 'unknown'}`)
  const lab = await Lab.open({ prefix: `bs-${process.pid}` })
  try {
    const agent = await lab.startAgent(quickstartConfig(lab.prefix, [[['agent', 'backend'], 'userspace']]))
    const client = lab.netns('client')
    const seconds = Math.ceil(switches * 1.7) + 6
    progress(`${DOWNLOADS} downloads and iperf3 for ${seconds} s, ${switches} switches`)
    const rate = Math.max(1024, Math.floor(2 ** 20 / seconds))
    const downloads = curl({ netns: client, url: httpUrl(addresses.vip.v4, '1m.bin'), count: DOWNLOADS, parallel: DOWNLOADS, sha256: lab.servers.bigSha256, timeoutS: seconds * 3 + 60, rate: String(rate) })
    const stream = iperf({ netns: client, to: addresses.s1.v4, seconds, reverse: false })
    await sleep(1500)
    const gaps: Array<{ readonly to: string, readonly us: number }> = []
    const times: number[] = []
    let lost = 0
    const around = async (act: () => Promise<void>): Promise<number> => {
      const probe = echoing(client, { kind: 'udp', host: addresses.s1.v4, port: ports.echo, count: 1000, intervalMs: 1 })
      await sleep(400)
      await act()
      return (await probe.figures).longestGapMs * 1000
    }
    const quiet = await around(async () => { await sleep(50) })
    for (let n = 0; n < switches && !signal.aborted; n++) {
      const established = new Set((await agent.sessions('--protocol', 'tcp')).filter(s => s.phase === 'TCP_ESTABLISHED').map(s => s.id))
      const to = round[n % round.length] ?? 'userspace'
      gaps.push({ to, us: await around(async () => { times.push((await agent.json<{ totalMs: number }>(['backend', 'switch', to])).totalMs) }) })
      for (const s of await agent.sessions('--protocol', 'tcp')) established.delete(s.id)
      lost += established.size
    }
    progress('waiting for the downloads')
    const [d, i] = await Promise.all([downloads, stream])
    const failed = Object.values(d.failures).reduce((a, b) => a + b, 0)
    const verify = await agent.verify()
    return {
      suite: 'switch',
      figures: {
        switches: times.length, tcp_broken: failed + (i.error === null ? 0 : 1), sessions_lost: lost, gap_us_p50: Math.round(median(gaps.map(g => g.us))), gap_us_max: Math.round(Math.max(...gaps.map(g => g.us))), gap_us_quiet: Math.round(quiet),
        ...Object.fromEntries([...new Set(gaps.map(g => g.to))].map(to => [`gap_us_to_${to}_max`, Math.round(Math.max(...gaps.filter(g => g.to === to).map(g => g.us)))])),
        switch_ms_p50: Math.round(median(times)), iperf_gbit_s: i.gbitPerS, verify_ok: verify.ok ? 1 : 0
      },
      notes: dpdk?.available === true ? {} : { dpdk: `not in the round: ${dpdk?.reason ?? 'unknown'}` }, spread: {}
    }
  } finally {
    await lab.close()
  }
}
