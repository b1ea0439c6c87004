/** The heart of the keeper: it renews the lease of pinned programs, with and without an agent, as long as a program is on an interface. */
import { createSocket, type Socket } from 'node:dgram'
import { readdirSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openHeart, type HeartLink } from '../../src/ha/heart/link.js'
import { readHeartbeat } from '../../src/ha/heart/word.js'
import type { NodeStatus } from '../../src/ha/rg.js'
import { limits } from '../../src/generated/layout.js'
import { quickstartConfig } from './config.js'
import { ebpfSkip, pinsOf } from './instance.js'
import { agentSaid, openLab } from './support.js'
import { addresses } from './topology.js'
import { curl, httpUrl } from './traffic.js'
import { until } from '../until.js'


async function bound (): Promise<Socket> {
  const socket = createSocket('udp4')
  await new Promise<void>(resolve => { socket.bind(0, '127.0.0.1', resolve) })
  return socket
}

/** Gives up after ten seconds. */
t.test('H72 kill -9 of the agent ends no lease, and the last program that goes ends it', { skip: await ebpfSkip('curl') }, async (t) => {
  const lab = await openLab(t, 'heart')
  const folder = pinsOf(lab)
  const config = quickstartConfig(lab.prefix, [[['agent', 'backend'], 'ebpf']])
  let agent = await lab.startAgent(config)
  const [peer, own] = [await bound(), await bound()]
  const paths = [{ name: 'lo', local: { address: '127.0.0.1', port: own.address().port }, remote: { address: '127.0.0.1', port: peer.address().port } }]
  own.close()
  let beat: NodeStatus | null = null
  const heard = (): NodeStatus | null => beat
  peer.on('message', (bytes) => {
    const status = readHeartbeat(bytes.subarray(0, bytes.length - limits.LS_HEART_MAC_BYTES))
    if (typeof status !== 'string') beat = status
  })
  const hellos: unknown[] = []
  const lapsed: number[][] = []
  const problems: string[] = []
  const dial = (): HeartLink => openHeart(folder, {
    onHello: (_, resumed, adopted) => { hellos.push({ resumed, adopted }) }, onHeard: () => undefined, onLapsed: (rgs) => { lapsed.push(rgs) }, onAnswer: () => undefined,
    onProblem: (text) => { problems.push(text) }, onGone: () => undefined
  })
  const rg = { rg: 0, role: 'owner', epoch: 0n, priority: 100, ready: true, reasons: [], synced: true, holds: [], asks: false, pinned: false, gaveWay: 0n } as const // as a table is made
  let link = dial()
  t.teardown(() => {
    link.close()
    peer.close()
  })
  link.setup({ nodeIndex: 1, timing: { intervalMs: 50, count: 10 }, key: new Uint8Array(32), paths })
  link.say({ node: 'a', nodeIndex: 1, bootId: '', seq: 0n, generation: 1n, agent: 'present', restartHoldMs: null, rgs: [rg] })
  await until('a heartbeat', () => heard()?.rgs[0]?.role === 'owner')
  t.same(hellos, [{ resumed: false, adopted: [] }])

  link.close()
  await agent.kill()
  await until('the agent is away', () => heard()?.agent === 'away')
  const from = heard()?.seq ?? 0n
  await until('several leases later', () => (heard()?.seq ?? 0n) > from + 40n)
  const f = await curl({ netns: lab.netns('client'), url: httpUrl(addresses.vip.v4, '1m.bin'), count: 4, parallel: 2, sha256: lab.servers.bigSha256, timeoutS: 5 })
  t.same(f.failures, {}, 'programs go on')
  t.match(heard(), { rgs: [{ role: 'owner' }] })
  link = dial()
  await until('the agent is back', () => hellos.length === 2)
  t.same(hellos[1], { resumed: true, adopted: [{ rg: 0, epoch: 0n }] })
  t.same(lapsed, [])

  for (const pin of readdirSync(folder).filter(name => name.startsWith('link_'))) unlinkSync(join(folder, pin))
  await until('the end of the lease', () => lapsed.length > 0)
  t.same(lapsed, [[0]])
  await until('that is said', () => heard()?.rgs[0]?.role === 'hold')
  t.same(problems, [])

  agent = await lab.startAgent(config)
  t.equal((await agent.stop()).code, 0, agentSaid(lab))
  t.equal((await agent.teardown()).code, 0)
})
