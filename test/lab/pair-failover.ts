/** A failover under traffic, watched: what was established before, what was declared and when, when packets passed again. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { LabAgent } from './agent.js'
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

/** `begunAt`: when its connection was there, or was asked for if it never was; Unix ms. */
export interface Broken { readonly begunAt: number, readonly why: string }
export interface Downloads { readonly ok: number, readonly broken: readonly Broken[] }

const DOWNLOAD_MS = 4000

/** Downloads of 1 MiB, `parallel` at any time, until they are ended: those under way then go on to their end. The server makes each last four seconds. */
export function keepDownloading (lab: PairLab, parallel: number): { readonly end: () => Promise<Downloads> } {
  let ending = false
  const job = { netns: lab.netns('client'), url: httpUrl(addresses.s1.v4, 'slow'), count: 1, parallel: 1, sha256: lab.servers.bigSha256, timeoutS: 15 }
  const loops = Array.from({ length: parallel }, async (_, i) => {
    const done: Downloads[] = []
    await sleep(DOWNLOAD_MS * i / parallel)
    while (!ending) {
      const begunAt = Date.now()
      const { ok, failed } = await curl(job)
      done.push({ ok, broken: failed.map(({ why, connectMs }) => ({ begunAt: begunAt + connectMs, why })) })
      if (ok === 0) await sleep(200) // one that cannot even begin is not tried as fast as it goes
    }
    return done
  })
  return {
    end: async () => {
      ending = true
      const done = (await Promise.all(loops)).flat()
      return { ok: done.reduce((sum, d) => sum + d.ok, 0), broken: done.flatMap((d) => d.broken) }
    }
  }
}

/**
 * Whose connection may have been younger than the standby's copy when that took over: nobody promises that it goes on. `takenAt`: when nodes began to own, Unix ms, also
 * where a busy host had kept the owner silent and it was not dead. `silentMs`: for how long an owner is silent before.
 */
export const tooYoung = ({ begunAt }: Broken, takenAt: readonly number[], silentMs: number): boolean => takenAt.some((at) => begunAt > at - silentMs - YOUNG_MS && begunAt < at)
const YOUNG_MS = 500

/** When nodes began to own, planned moves aside, by the logs of agents. */
export const takeovers = (lab: PairLab): number[] => [...lab.agents.values()].flatMap((agent) => eventsOf(agent).filter((e) => e.event === 'role' && e.to === 'owner' && e.code !== 'move').map((e) => e.at))

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
  /** Unix ms: when the owner was killed, and when it was declared lost. */
  readonly killedAt: number
  readonly lostAt: number
  /** From the last heartbeat to the declaration, by the survivor's clock. */
  readonly detectMs: number
  /** From the declaration to the role in the table. */
  readonly roleMs: number
  /** From the declaration to the first answer a probe hears. */
  readonly takeoverMs: number
  /** For how long the probe heard nothing. */
  readonly gapMs: number
}

/** Kills the owner under a probe; its peer owns when this resolves. `null`: it did before, since a busy host had kept the owner silent for too long. */
export async function killOwner (lab: PairLab, owner: RouterName, probe: Pick<Probe, 'silences'>): Promise<Death | null> {
  const heir = peerOf(owner)
  if ((await lab.group(heir)).role === 'owner') return null
  const killedAt = Date.now()
  const events = (): EventLine[] => eventsOf(lab.agent(heir)).filter((e) => e.at >= killedAt)
  await lab.killNode(owner)
  await lab.until(async () => (await lab.group(heir)).role === 'owner' ? null : `${heir} does not own: ${events().map((e) => JSON.stringify(e)).join('\n')}`, 60_000)
  const role = events().find((e) => e.event === 'role' && e.to === 'owner')
  const lost = events().findLast((e) => e.event === 'peer' && e.to === 'lost' && e.at <= (role?.at ?? 0))
  if (role === undefined || lost === undefined) return null
  await lab.until(async () => await Promise.resolve(probe.silences().some((s) => s.to >= lost.at) ? null : 'the probe hears nothing'), 60_000)
  const silence = probe.silences().find((s) => s.to >= lost.at) ?? { from: NaN, to: NaN }
  return { killedAt, lostAt: lost.at, detectMs: Number(lost.silentMs), roleMs: role.at - lost.at, takeoverMs: silence.to - lost.at, gapMs: silence.to - silence.from }
}

/** One flow, and answers to it that are 0.1 ms apart. */
export async function fineProbe (lab: PairLab, to: string = addresses.s1.v4): Promise<Probe> {
  const probe = await probing(lab.topology, { to, port: probePort, flows: 1, rate: 10_000, seconds: 3600 })
  await sleep(200)
  return probe
}
