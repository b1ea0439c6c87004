/** Defects of a cluster planted on purpose: each has to be caught by the simulator. */
import { electionTable } from '../../src/ha/election.js'
import { HaNode } from '../../src/ha/node.js'
import { decodeMove, encodeMove } from '../../src/ha/move-message.js'
import { claims } from '../../src/ha/rg.js'
import type { Plant } from './host.js'
import { patched } from './replace.js'

/** What a HaNode keeps to itself. */
interface Inside { drains: Array<{ readonly graced: boolean }> }

const without = (row: number) => (): (() => void) => {
  const table = electionTable as Array<typeof electionTable[number]>
  const at = table.findIndex((r) => r.row === row)
  const gone = table.splice(at, 1)
  return () => { table.splice(at, 0, ...gone) }
}

/** `seed`: the first of some that show it. */
export const clusterMutations: ReadonlyArray<{ readonly what: string, readonly seed: number, readonly plant: Plant }> = [
  { what: 'a lease is renewed after it ended', seed: 1, plant: { heart: { renewsEnded: true } } },
  { what: 'a lease is longer than detection', seed: 19, plant: { heart: { leaseFactor: 6 } } },
  { what: 'a heart without its agent does not yield to a newer epoch', seed: 2, plant: { heart: { yields: false } } },
  { what: 'a host that rebooted keeps its old word', seed: 1, plant: { heart: { forgets: false } } },
  { what: 'an epoch is used before it is on disk', seed: 1, plant: { world: (world, host) => ({ ...world, persist: (rg, epoch) => { host.soon(0, () => { host.ha?.persisted(rg, epoch) }) } }) } },
  { what: 'the final word is sent before the rings are drained', seed: 6, plant: { patch: patched(HaNode.prototype as object, 'drained', (real) => function (...args) {
    const inside = this as unknown as Inside
    inside.drains = inside.drains.map((drain) => ({ ...drain, graced: true }))
    return real.apply(this, args)
  }) } },
  { what: 'the taker owns at an equal cut of before', seed: 8, plant: { patch: patched(HaNode.prototype as object, 'message', (real) => function (...args) {
    const [type, body] = args as unknown as [number, Uint8Array]
    const message = decodeMove(body)
    return (real as (this: object, ...a: unknown[]) => unknown).call(this, type, message?.kind === 'yielding' ? encodeMove({ ...message, kind: 'final', seq: 0n }) : body)
  }) } },
  { what: 'a stale heartbeat is taken for news', seed: 5, plant: { hear: (() => {
    let seq = 1n
    return (status) => ({ ...status, bootId: 'always', seq: ++seq })
  })() } },
  { what: 'a standby announces', seed: 1, plant: { world: (world) => ({ ...world, setRole: (rg, role, epoch, deadline) => {
    world.setRole(rg, role, epoch, deadline)
    if (role === 'standby') world.announce(rg)
  } }) } },
  { what: 'an owner that yields goes on creating', seed: 7, plant: { creates: claims } },
  { what: 'the words of a move that is over count for the next', seed: 8, plant: { patch: patched(HaNode.prototype as object, 'message', (real) => function (...args) {
    const self = this as unknown as HaNode
    const [type, body] = args as unknown as [number, Uint8Array]
    const ids = self.ownership.rgs.flatMap((rg) => (rg.move === null ? [] : [rg.move.id]))
    for (const id of ids) (real as (this: object, ...a: unknown[]) => unknown).call(this, type, renamed(body, id))
    return ids.length > 0 ? undefined : real.apply(this, args)
  }) } },
  { what: 'an agent that is away is treated as dead', seed: 2, plant: { hear: (status) => (status.agent === 'away' ? { ...status, restartHoldMs: null } : status) } },
  { what: 'of two owners none gives way', seed: 5, plant: { patch: without(3) } },
  { what: 'an owner keeps an epoch that is behind', seed: 7, plant: { patch: without(4) } },
  { what: 'a host that slept goes on as if it had listened', seed: 25, plant: { patch: patched(HaNode.prototype as object, 'lapsed', (real) => function (...args) {
    return (args as unknown as [readonly number[]])[0].length === 0 ? undefined : real.apply(this, args)
  }) } },
  { what: 'an agent that was held up declares its peer lost before it has read what was heard', seed: 12, plant: { patch: patched(HaNode.prototype as object, 'wake', () => () => undefined) } }
]

function renamed (body: Uint8Array, id: string): Uint8Array {
  const message = decodeMove(body)
  return message === null ? body : encodeMove({ ...message, moveId: id })
}
