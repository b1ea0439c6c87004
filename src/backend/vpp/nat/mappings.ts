/**
 * Static mappings of NAT44-ED that stand for sessions: VPP takes no session of this NAT, but one that it opens by a static mapping has the translation of that
 * mapping. Not for TCP: VPP opens a connection at its SYN only, and drops what comes in the middle of one. Ours carry a tag; others are left alone.
 */
import { VppRefusal, type VppClient } from '../client.js'
import type { HaEvent } from './ha-wire.js'
import { FIB } from './session.js'

export type Mapping = Pick<HaEvent, 'protocol' | 'insideAddress' | 'insidePort' | 'outsideAddress' | 'outsidePort'>

const TAG = 'lockstep-session'
const [ICMP, UDP] = [1, 17]
const NO_INTERFACE = 0xffffffff

const keyOf = (m: Mapping): string => `${m.protocol} ${m.insideAddress}:${m.insidePort} ${m.outsideAddress}:${m.outsidePort}`

/** By key. Several sessions of one inside port share one; those of a mapping that the operator made need none. */
export const mappingsFor = (sessions: Iterable<HaEvent>): Map<string, Mapping> =>
  new Map([...sessions].filter(s => !s.static && (s.protocol === UDP || s.protocol === ICMP)).map(s => [keyOf(s), s]))

export class Mappings {
  private have = new Map<string, Mapping>()
  /** VPP did not take so many at the last time: another mapping has their inside or outside. */
  refused = 0

  get some (): boolean { return this.have.size > 0 }
  stands (session: Mapping): boolean { return this.have.has(keyOf(session)) }

  /** What is there. @throws what a call throws */
  async read (client: VppClient): Promise<void> {
    const ours = (await client.dump('nat44_static_mapping_dump_51077d14', {})).filter(({ tag }) => tag === TAG)
    this.have = new Map(ours.map(one => ({ protocol: one.protocol, insideAddress: one.local_ip_address, insidePort: one.local_port, outsideAddress: one.external_ip_address, outsidePort: one.external_port })).map(m => [keyOf(m), m]))
  }

  /** Those that are there and not wanted go; with `add` those that are wanted come. How many did. @throws what a call throws, but for a refusal */
  async follow (client: VppClient, wanted: ReadonlyMap<string, Mapping>, add: boolean): Promise<{ readonly added: number, readonly removed: number }> {
    const surplus = [...this.have].filter(([key]) => !wanted.has(key))
    const missing = add ? [...wanted].filter(([key]) => !this.have.has(key)) : []
    const set = async (key: string, mapping: Mapping, is_add: boolean): Promise<boolean> => {
      const taken = await change(client, mapping, is_add)
      if (!is_add) this.have.delete(key)
      else if (taken) this.have.set(key, mapping)
      return taken
    }
    const removed = await Promise.all(surplus.map(async ([key, mapping]) => await set(key, mapping, false))) // first: one may be in the way of another
    const added = await Promise.all(missing.map(async ([key, mapping]) => await set(key, mapping, true)))
    const count = (taken: readonly boolean[]): number => taken.filter(Boolean).length
    this.refused = missing.length - count(added)
    return { added: count(added), removed: count(removed) }
  }
}

/** Whether VPP did it: a mapping that is to go may have gone, and one that is to come may be in conflict with another. */
async function change (client: VppClient, m: Mapping, is_add: boolean): Promise<boolean> {
  try {
    await client.call('nat44_add_del_static_mapping_v2_5e205f1a', {
      is_add, match_pool: false, flags: 0, pool_ip_address: '0.0.0.0', local_ip_address: m.insideAddress, external_ip_address: m.outsideAddress, protocol: m.protocol,
      local_port: m.insidePort, external_port: m.outsidePort, external_sw_if_index: NO_INTERFACE, vrf_id: FIB, tag: TAG
    })
    return true
  } catch (error) {
    if (error instanceof VppRefusal) return false
    throw error
  }
}
