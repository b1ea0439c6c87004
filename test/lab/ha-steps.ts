/** What `lockstep lab ha` shows of a pair, step by step: sessions on both, planned moves, a death, cuts that heal. */
import { setTimeout as sleep } from 'node:timers/promises'
import { probeBackends } from '../../src/backend/registry.js'
import type { Stage } from './demonstrate.js'
import { round, tally } from './figures.js'
import { establishedIds, fineProbe, keepDownloading, killOwner, missingOf, peerOf, probeServer, takeovers, tooYoung, type Downloads } from './pair-failover.js'
import { PairLab } from './pair-lab.js'
import { own, routers, type RouterName } from './pair-topology.js'
import { ports } from './servers.js'
import { must } from './shell.js'
import type { Step } from './steps.js'
import { addresses } from './topology.js'
import { echo } from './traffic.js'

const WITHIN_MS = 60_000
const PARALLEL = 8

async function ownerOf (lab: PairLab): Promise<RouterName> {
  const roles = await Promise.all(routers.map(async (r) => (await lab.group(r)).role))
  const owners = routers.filter((_, i) => roles[i] === 'owner')
  if (owners.length !== 1 || owners[0] === undefined) throw new Error(`not one owner: ${routers.map((r, i) => `${r} ${roles[i] ?? ''}`).join(', ')}`)
  return owners[0]
}

const downloadLine = ({ ok, broken }: Downloads): string => `downloads: ${ok} whole${Object.entries(tally(broken.map((b) => b.why))).map(([why, n]) => `; ${n}x ${why}`).join('')}`

const start: Step<PairLab> = {
  name: 'pair',
  title: 'Two agents start with one file: the one with the higher priority owns, the other is ready',
  run: async (lab) => {
    const begun = performance.now()
    await Promise.all(routers.map(async (r) => await lab.start(r)))
    await lab.settled('r1', WITHIN_MS)
    const seconds = round((performance.now() - begun) / 1000, 1)
    const { stdout } = await lab.agent('r2').cli(['cluster', 'status'])
    return { ok: true, lines: [`the standby is proven equal and ready after ${seconds} s`, '$ lockstep cluster status     # at r2', ...stdout.trimEnd().split('\n')], figures: { readySeconds: seconds } }
  }
}

const copies: Step<PairLab> = {
  name: 'sessions',
  title: 'A connection is a session on both nodes, under one id; both tables are proven equal',
  run: async (lab) => {
    const flow = await echo(lab.netns('client'), { kind: 'tcp', host: addresses.s1.v4, port: ports.echo, count: 50, intervalMs: 10 })
    const ids = async (r: RouterName): Promise<string[]> => (await lab.agent(r).sessions()).map((s) => s.id).sort()
    await lab.until(async () => {
      const [mine, theirs] = await Promise.all([ids('r1'), ids('r2')])
      return mine.length > 0 && mine.join() === theirs.join() ? null : `${mine.length} and ${theirs.length} sessions`
    }, WITHIN_MS)
    const [verdict] = await lab.agent('r2').json<Array<{ readonly equal: boolean, readonly sessions: number, readonly differences: number }>>(['cluster', 'verify', '--all'])
    return {
      ok: flow.error === null && verdict?.equal === true, figures: { sessions: verdict?.sessions, differences: verdict?.differences },
      lines: [`tcp echo: ${flow.received} of ${flow.sent}`, '$ lockstep cluster verify --all     # at r2', `${verdict?.equal === true ? 'equal' : 'NOT EQUAL'}: ${verdict?.sessions ?? 0} sessions, ${verdict?.differences ?? 0} differences`]
    }
  }
}

const move: Step<PairLab> = {
  name: 'move',
  title: 'Planned moves under downloads: no session is lost, no download breaks',
  run: async (lab, size) => {
    const downloads = keepDownloading(lab, PARALLEL)
    const lines: string[] = []
    const moves: Array<{ readonly ms: number, readonly gapMs: number, readonly established: number, readonly lost: number }> = []
    for (let i = 0; i < size.moves; i++) {
      const from = await ownerOf(lab)
      await lab.settled(from, WITHIN_MS)
      const probe = await fineProbe(lab)
      const before = await establishedIds(lab.agent(from))
      const begun = performance.now()
      const { code, stdout, stderr } = await lab.agent(from).cli(['cluster', 'switchover', '--to', peerOf(from), '--all'])
      const ms = round(performance.now() - begun, 0)
      if (code !== 0) throw new Error(`${from} keeps it: ${stdout}${stderr}`)
      const lost = await missingOf(before, lab.agent(peerOf(from)))
      const gapMs = round(Math.max(0, ...(await probe.stop()).silences.map((s) => s.to - s.from)), 1)
      moves.push({ ms, gapMs, established: before.size, lost })
      lines.push(`${from} to ${peerOf(from)}: ${ms} ms for who asked; ${before.size} established sessions, ${lost} lost; longest silence of a probe at 10 kHz ${gapMs === 0 ? 'below 10' : gapMs} ms`)
    }
    const ended = await downloads.end()
    return { ok: moves.every((m) => m.lost === 0) && ended.ok > 0 && ended.broken.length === 0, lines: [...lines, downloadLine(ended)], figures: { moves, downloads: ended } }
  }
}

const death: Step<PairLab> = {
  name: 'death',
  title: 'The owner dies (kill -9 of agent and keeper) under downloads: the other takes over, and it comes back as standby',
  run: async (lab, size) => {
    const lines: string[] = []
    const deaths: unknown[] = []
    let ok = true
    for (let i = 0; i < size.deaths; i++) {
      const downloads = keepDownloading(lab, PARALLEL)
      const owner = await ownerOf(lab)
      const probe = await fineProbe(lab)
      await sleep(4000)
      const before = await establishedIds(lab.agent(owner))
      await sleep(500) // what is newer than the lag may be on one node only
      const d = await killOwner(lab, owner, probe)
      const lost = await missingOf(before, lab.agent(peerOf(owner)))
      await probe.stop()
      const ended = await downloads.end()
      const begun = performance.now()
      await lab.start(owner)
      await lab.settled(peerOf(owner), WITHIN_MS)
      const backS = round((performance.now() - begun) / 1000, 1)
      const young = d === null ? 0 : ended.broken.filter((b) => tooYoung(b, takeovers(lab), 300)).length
      ok &&= d !== null && lost === 0 && ended.ok > 0 && ended.broken.length === young
      deaths.push({ ...d, established: before.size, lost, downloads: ended, young, backS })
      lines.push(d === null ? `${owner} was declared lost before it died: this host is too busy for its heartbeats` : `${owner} was silent for ${d.detectMs} ms when ${peerOf(owner)} declared it lost; role after ${d.roleMs} ms, first packet after ${round(d.takeoverMs, 1)} ms; the probe heard nothing for ${round(d.gapMs, 1)} ms`,
        `${before.size} established sessions, ${lost} lost; ${downloadLine(ended)}${young > 0 ? ` (${young} of them begun within half a second before the death)` : ''}`, `${owner} is back as a standby that is proven equal after ${backS} s`)
    }
    return { ok, lines, figures: { deaths } }
  }
}

const cut: Step<PairLab> = {
  name: 'cut',
  title: 'Links between the two are cut and heal: one path changes nothing, all of them make two owners, and one is left after',
  run: async (lab, size) => {
    const link = async (dev: string, state: 'up' | 'down'): Promise<void> => { await must({ netns: lab.netns('r1'), argv: ['ip', 'link', 'set', dev, state] }) }
    const roles = async (): Promise<string> => (await Promise.all(routers.map(async (r) => (await lab.group(r)).role))).join(', ')
    const owner = await ownerOf(lab)
    const before = await roles()
    await link('spare', 'down')
    await sleep(1500)
    const onePath = await roles()
    const links = ['sync', 'fabric']
    for (const dev of links) await link(dev, 'down')
    await lab.until(async () => await roles() === 'owner, owner' ? null : await roles(), WITHIN_MS)
    await sleep(size.cutS * 1000)
    for (const dev of [...links, 'spare']) await link(dev, 'up')
    const begun = performance.now()
    await lab.until(async () => (await roles()).split(', ').filter((r) => r === 'owner').length === 1 ? null : await roles(), WITHIN_MS)
    const oneMs = round(performance.now() - begun, 0)
    const left = await ownerOf(lab)
    await lab.settled(left, WITHIN_MS)
    const equalS = round((performance.now() - begun) / 1000, 1)
    return {
      ok: onePath === before, figures: { oneOwnerMs: oneMs, equalSeconds: equalS },
      lines: [`one of two paths is cut: r1 and r2 are ${onePath}, as before`, `all are cut for ${size.cutS} s: each owns, in an epoch of its own (no witness is configured)`,
        `they heal: ${left} is the owner that is left, seen after ${oneMs} ms (it was ${owner}); merged and proven equal after ${equalS} s`]
    }
  }
}

export const pairStage: Stage<PairLab> = {
  title: 'A lab of two routers',
  tools: ['curl', 'nginx', 'cc'],
  open: async (prefix, say) => {
    const ebpf = probeBackends().find((p) => p.backend === 'ebpf')
    const backend = ebpf?.available === true ? 'ebpf' : 'userspace'
    say(`  ${prefix}-client ${addresses.client.v4} -- bridge -- [${prefix}-r1, ${prefix}-r2: Lockstep] -- bridge -- ${prefix}-s1 ${addresses.s1.v4}, ${prefix}-s2 ${addresses.s2.v4}`)
    say(`  floating addresses ${addresses.routerClient.v4} and ${addresses.routerServer.v4}; heartbeats every 100 ms on ${own.r1.sync} and ${own.r1.spare}, lost after 3; backend ${backend}\n`)
    return await PairLab.open(prefix, { backend })
  },
  begin: async (lab) => { await probeServer(lab) },
  steps: [start, copies, move, death, cut],
  about: () => ({}),
  said: (lab) => [...lab.agents].map(([name, agent]) => `${name}:\n${agent.log.trim().split('\n').slice(-10).join('\n')}`).join('\n'),
  keep: (lab) => `The lab stays until Ctrl-C. In another shell:
  export LOCKSTEP_SOCKET=${lab.agents.get('r1')?.socket ?? ''}
  npx lockstep cluster status
  npx lockstep cluster watch
  npx lockstep cluster switchover --to r2 --all
  nsenter --net=/run/netns/${lab.prefix}-client ping ${addresses.s1.v4}`
}
