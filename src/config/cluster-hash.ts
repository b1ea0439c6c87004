/**
 * What both nodes of a pair must have equal, as 32 bytes that they show each other: the configuration without what is of one node (`agent`, `bgp`, ports,
 * own addresses), and the ids of the names in it. Sessions are exchanged between equal ones only (docs/design/0010-replication.md).
 */
import { createHash } from 'node:crypto'
import type { Desired, Interface } from '../contract/desired.js'
import { idKinds, namesOf } from './ids.js'

/** Without what a node has of its own; for the rest build/pair.ts sees that nodes agree. */
function sharedInterface ({ addresses: _a, port: _p, mtu: _m, neighbours: _n, ...shared }: Interface): object {
  return shared
}

/** SHA-256 over canonical JSON. `desired` has its ids (withIds); those of names that are gone do not count. */
export function clusterHash (desired: Desired): Uint8Array {
  const { agent: _a, bgp: _b, ports: _p, interfaces, ids, ...shared } = desired
  const names = namesOf(desired)
  const used = Object.fromEntries(idKinds.map(kind => [kind, Object.fromEntries([...names[kind]].sort().map(name => [name, ids[kind][name] ?? null]))]))
  return createHash('sha256').update(canonical({ ...shared, interfaces: interfaces.map(sharedInterface), ids: used })).digest()
}

/** JSON with sorted keys: the order of a file says nothing. */
const canonical = (value: unknown): string => JSON.stringify(value, (_, inner: unknown) =>
  inner === null || typeof inner !== 'object' || Array.isArray(inner) ? inner : Object.fromEntries(Object.entries(inner).sort(([x], [y]) => x < y ? -1 : 1)))
