/** A failover under traffic, watched: what was established before, what was declared and when, when packets passed again. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { LabAgent } from './agent.js'
import { tally } from './figures.js'
import { loadServer, newFlows, probing } from './load.js'
import type { PairLab } from './pair-lab.js'
import type { RouterName } from './pair-topology.js'
import { must } from './shell.js'
import { addresses } from './topology.js'
import { curl, httpUrl } from './traffic.js'

export const peerOf = (r: RouterName): RouterName => r === 'r1' ? 'r2' : 'r1'
export const probePort = 5009
export type Probe = Awaited<ReturnType<typeof probing>>

/** Of the agent's log. */
interface EventLine { readonly event: string, readonly at: number, readonly [field: string]: unknown }

export function eventsOf (agent: LabAgent): EventLine[] {
  return agent.log.split('\n').filter((line) => line.includes('"msg":"cluster"') && line.endsWith('}')).map((line) => JSON.parse(line) as EventLine)
}

export interface Downloads { readonly ok: number, readonly failures: Readonly<Record<string, number>> }

/** Downloads of 1 MiB, `parallel` at any time, until they are ended: those under way then go on to their end. The server makes each last four seconds. */
export function keepDownloading (lab: PairLab, parallel: number): { readonly end: () => Promise<Downloads> } {
  let ending = false
  const job = { netns: lab.netns('client'), url: httpUrl(addresses.s1.v4, 'slow'), count: 1, parallel: 1, sha256: lab.servers.bigSha256, timeoutS: 60 }
  const loops = Array.from({ length: parallel }, async () => {
    const done: Downloads[] = []
    while (!ending) done.push(await curl(job))
    return done
  })
  return {
    end: async () => {
      ending = true
      const done = (await Promise.all(loops)).flat()
      return { ok: done.reduce((sum, d) => sum + d.ok, 0), failures: tally(done.flatMap((d) => Object.entries(d.failures).flatMap(([why, n]) => new Array<string>(n).fill(why)))) }
    }
  }
}

/** New flows to a server that drops them; `rate` a second are tried. */
export async function churning (lab: PairLab, rate: number): ReturnType<typeof newFlows> {
  await must({ netns: lab.netns('s2'), argv: ['ip', 'route', 'replace', 'blackhole', '10.128.0.0/9'] }) // no answers, no errors
  return await newFlows(lab.topology, { to: addresses.s2.v4, rate })
}

export async function probeServer (lab: PairLab): Promise<{ readonly stop: () => Promise<unknown> }> {
  return await loadServer(lab.topology, 's1', 'probe', [String(probePort)])
}

/** Sessions that matter to somebody: connections, and the flows of probes. */
export async function establishedIds (agent: LabAgent): Promise<Set<string>> {
  const [tcp, probes] = await Promise.all([agent.sessions('--protocol', 'tcp'), agent.sessions('--protocol', 'udp', '--destination-port', String(probePort))])
  return new Set([...tcp.filter((s) => s.phase === 'TCP_ESTABLISHED'), ...probes].map((s) => s.id))
}

/** How many of them this agent does not have, in whatever state. */
export async function missingOf (before: ReadonlySet<string>, agent: LabAgent): Promise<number> {
  const [tcp, probes] = await Promise.all([agent.sessions('--protocol', 'tcp'), agent.sessions('--protocol', 'udp', '--destination-port', String(probePort))])
  const now = new Set([...tcp, ...probes].map((s) => s.id))
  return [...before].filter((id) => !now.has(id)).length
}

export interface Death {
  /** From the last heartbeat to the declaration, by the survivor's clock. */
  readonly detectMs: number
  /** From the declaration to the role in the table. */
  readonly roleMs: number
  /** From the declaration to the first answer a probe hears. */
  readonly takeoverMs: number
  /** For how long the probe heard nothing. */
  readonly gapMs: number
}

/** Kills the owner under a probe; its peer has taken over when this resolves. */
export async function killOwner (lab: PairLab, owner: RouterName, probe: Pick<Probe, 'silences'>): Promise<Death> {
  const heir = peerOf(owner)
  const killedAt = Date.now()
  const since = (event: string, to: string): EventLine | undefined => eventsOf(lab.agent(heir)).find((e) => e.event === event && e.to === to && e.at >= killedAt)
  const killed = lab.killNode(owner)
  await lab.until(async () => await Promise.resolve(since('role', 'owner') === undefined ? `${heir} does not own after the death at ${killedAt}: ${eventsOf(lab.agent(heir)).slice(-20).map((e) => JSON.stringify(e)).join('\n')}` : null), 10_000)
  await killed
  const [lost, role] = [since('peer', 'lost'), since('role', 'owner')]
  if (lost === undefined || role === undefined) throw new Error(`${heir} owns, and does not say that ${owner} is lost: ${lab.agent(heir).log.slice(-2000)}`)
  await lab.until(async () => await Promise.resolve(probe.silences().some((s) => s.to >= lost.at) ? null : 'the probe hears nothing'), 10_000)
  const silence = probe.silences().find((s) => s.to >= lost.at) ?? { from: NaN, to: NaN }
  return { detectMs: Number(lost.silentMs), roleMs: role.at - lost.at, takeoverMs: silence.to - lost.at, gapMs: silence.to - silence.from }
}

/** One flow, and answers to it that are 0.1 ms apart. */
export async function fineProbe (lab: PairLab, to: string = addresses.s1.v4): Promise<Probe> {
  const probe = await probing(lab.topology, { to, port: probePort, flows: 1, rate: 10_000, seconds: 3600 })
  await sleep(200)
  return probe
}
