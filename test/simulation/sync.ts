/**
 * A pair under seeded faults: sessions come, change and end, notices are lost, connections break and carry wrong bytes, agents restart, hosts reboot,
 * groups change their owner, clocks differ. After it all both tables are equal, both sides know, and nothing that ended is back.
 */
import type { NativeReplica } from '../../src/native/binding.js'
import { Wire } from './network.js'
import { Node } from './node.js'
import { Random } from './random.js'

const groupsUsed = 3
const quietMs = 30_000

export interface SimulationOptions {
  readonly seed: number
  readonly steps: number
  /** Connections break and are slow, and that is all: then nothing is ever repaired. */
  readonly calm?: boolean
  /** A defect that is planted on purpose, to see whether it is caught. */
  readonly wrap?: (replica: NativeReplica) => NativeReplica
  /** Steps that are done, of `steps`; the others are left out. */
  readonly keep?: readonly number[]
  readonly trace?: (line: string) => void
}

export interface SimulationResult { readonly opened: number, readonly ended: number, readonly takeovers: number, readonly cuts: number, readonly restarts: number, readonly repaired: number, readonly bulks: number, readonly keys: number, readonly bytes: number }

/** `invariant`: its first word, I1 for example. */
export class Broken extends Error {
  readonly invariant: string
  constructor (where: string, why: string) {
    super(`${where}: ${why}`)
    this.invariant = why.split(/[ :]/, 1)[0] ?? ''
  }
}

export async function simulate ({ seed, steps, calm = false, wrap, keep, trace }: SimulationOptions): Promise<SimulationResult> {
  const random = new Random(seed)
  const tuples = 20 + random.below(random.chance(0.3) ? 700 : 120)
  const windowBytes = random.chance(0.2) && !calm ? 12_000 : 8 << 20
  const keyMs = random.chance(0.5) ? 200 + random.below(3000) : Infinity
  const make = (name: string): Node => new Node({ name, random, windowBytes, keyMs, ...(wrap === undefined ? {} : { wrap }) })
  const nodes: readonly [Node, Node] = [make('a'), make('b')]
  const wire = new Wire(nodes, random)
  const owner: number[] = Array.from({ length: groupsUsed }, () => random.below(2))
  const epoch: bigint[] = owner.map(() => 1n)
  const ended = new Set<string>()
  const count = { opened: 0, ended: 0, takeovers: 0, cuts: 0, restarts: 0 }
  let nowMs = 0
  const node = (i: number): Node => nodes[i as 0 | 1]
  const say = (text: string): void => { trace?.(`${nowMs.toFixed(1)} ${text}`) }
  const fail = (why: string): never => { throw new Broken(`seed ${seed}, ${steps} steps, at ${nowMs.toFixed(0)} ms`, why) }

  const roles = (): void => {
    for (let rg = 0; rg < groupsUsed; rg++) for (const i of [0, 1]) node(i).role(rg, owner[rg] === i, epoch[rg] ?? 1n)
  }
  /** A new owner goes on with what it has: of what had ended elsewhere it may not have heard. */
  const takes = (g: number, next: number): void => {
    owner[g] = next
    epoch[g] = (epoch[g] ?? 1n) + 256n
    for (const id of node(next).sessions().keys()) ended.delete(id)
  }
  const pass = (ms: number): void => {
    nowMs += ms
    for (const n of nodes) n.worldMs = nowMs
    wire.deliver(nowMs)
    for (const n of nodes) n.tick()
    for (const n of nodes) {
      const { aheadBytes } = n.engine.status()
      if (aheadBytes > windowBytes) fail(`I5: ${aheadBytes} bytes are kept for the peer, bound ${windowBytes}`)
    }
  }

  const step = async (random: Random): Promise<void> => {
    let what = random.next()
    if (calm && what >= 0.985 && !(what >= 0.988 && what < 0.991)) what = 0.9
    const tuple = random.below(tuples)
    const rg = tuple % groupsUsed
    const at = node(owner[rg] ?? 0)
    const lost = !calm && random.chance(0.01)
    if (what < 0.35) {
      if (at.open(tuple, rg, lost)) count.opened++
    } else if (what < 0.45) {
      at.change(tuple, lost)
    } else if (what < 0.55) {
      const id = await at.end(tuple, lost)
      if (id !== null) {
        ended.add(id)
        count.ended++
      }
    } else if (what < 0.96) {
      pass(random.next() * 20)
    } else if (what < 0.97) {
      if (wire.connected) {
        say('the connection breaks')
        wire.cut('cut')
        count.cuts++
      }
    } else if (what < 0.985) {
      if (!wire.connected) wire.connect(nowMs)
    } else if (what < 0.988) {
      wire.corrupt = true
    } else if (what < 0.991) {
      if (!calm && random.chance(0.2)) wire.frozen = true
      wire.delayMs = random.below(40)
      wire.speed = random.chance(0.2) ? 200 : 1e6
    } else if (what < 0.994) {
      const g = random.below(groupsUsed)
      takes(g, 1 - (owner[g] ?? 0))
      say(`group ${g} goes to ${node(owner[g] ?? 0).name}`)
      count.takeovers++
      roles()
    } else if (what < 0.996) {
      // who takes over knows before who loses it
      const g = random.below(groupsUsed)
      takes(g, 1 - (owner[g] ?? 0))
      node(owner[g] ?? 0).role(g, true, epoch[g] ?? 1n)
      for (let i = 0; i < 5; i++) pass(random.next() * 10)
      say(`both owned group ${g}`)
      roles()
    } else if (what < 0.998) {
      const i = random.below(2)
      const reboot = random.chance(0.3)
      say(`${node(i).name} ${reboot ? 'reboots' : 'restarts'}`)
      wire.cut('restart')
      if (reboot) for (let g = 0; g < groupsUsed; g++) if (owner[g] === i) takes(g, 1 - i)
      node(i).restart(reboot)
      count.restarts++
      roles()
    } else {
      // an operator deletes at the standby
      await node(1 - (owner[rg] ?? 0)).end(tuple, false)
    }
  }

  try {
    roles()
    wire.connect(0)
    if (calm) for (let i = 0; i < 200; i++) pass(20) // who has nothing asks for all
    const asked = nodes.reduce((sum, n) => sum + n.engine.status().received.bulks, 0)
    for (const i of keep ?? Array(steps).keys()) await step(Random.of(seed, i))
    say('quiet')
    wire.delayMs = 1
    wire.speed = 1e6
    wire.corrupt = false
    const until = nowMs + quietMs
    const settled = (): boolean => nodes.every((n, i) => n.engine.status().state === 'up' && Array.from({ length: groupsUsed }, (_, rg) => rg).every((rg) => {
      const copy = n.engine.status().groups[rg]
      return owner[rg] === i || (copy?.state === 'equal' && copy.provenAtMs !== null && copy.provenAtMs > quietFrom[i as 0 | 1])
    }))
    const quietFrom: readonly [number, number] = [nodes[0].nowMs(), nodes[1].nowMs()]
    while (nowMs < until && !settled()) {
      if (!wire.connected) wire.connect(nowMs)
      pass(25)
    }
    if (!settled()) fail(`I1: not proven equal after ${quietMs} ms: ${JSON.stringify(nodes.map((n) => ({ state: n.engine.status().state, refusal: n.engine.status().refusal, groups: n.engine.status().groups.slice(0, groupsUsed).map((g) => [g?.state, g?.provenAtMs !== null]) })))}`)
    const [a, b] = [nodes[0].sessions(), nodes[1].sessions()]
    for (const [mine, other, who] of [[a, b, 'a'], [b, a, 'b']] as const) {
      for (const s of mine.values()) {
        const twin = other.get(s.id)
        if (twin === undefined) fail(`I1: only ${who} has the session ${s.id} of group ${s.rg}, which ${node(owner[s.rg] ?? 0).name} owns, and both say equal`)
        else if (twin.phase !== s.phase || twin.tuple !== s.tuple) fail(`I1: ${s.id} differs: ${JSON.stringify([s, twin])}`)
        if (ended.has(s.id)) fail(`I2: ${s.id} had ended and is back`)
      }
    }
    for (const n of nodes) {
      const report = await n.table.verify()
      if (report.faults.length > 0) fail(`the table of ${n.name} is broken: ${JSON.stringify(report.faults)}`)
    }
    const { differences, bulks } = nodes.reduce((sum, n) => ({ differences: sum.differences + n.engine.status().received.differences, bulks: sum.bulks + n.engine.status().received.bulks }), { differences: 0, bulks: 0 })
    if (calm && (differences > 0 || bulks > asked)) fail(`I3: ${differences} sessions differed and ${bulks - asked} groups were sent again although nothing was lost`)
    const keys = nodes.reduce((sum, n) => sum + n.engine.status().sent.keys, 0)
    return { ...count, repaired: differences, bulks, keys, bytes: wire.sent }
  } finally {
    for (const n of nodes) n.close()
  }
}
