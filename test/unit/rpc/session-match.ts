/** A SessionFilter over one row, as filter.h has it: for a table of the tests. */
import { BlockList } from 'node:net'
import type { SessionFilter, SessionRow } from '../../../src/contract/session.js'

/** Compiles the filter once; the result holds no reference to it. */
export function matcherOf (filter: SessionFilter): (row: SessionRow) => boolean {
  const tests: Array<(row: SessionRow) => boolean> = []
  const equal = (wanted: string | number | undefined, value: (row: SessionRow) => string | number): void => {
    if (wanted !== undefined) tests.push((row) => value(row) === wanted)
  }
  const flag = (wanted: boolean | undefined, name: string): void => {
    if (wanted !== undefined) tests.push((row) => row.flags.some((f) => f.toUpperCase() === name) === wanted)
  }
  if (filter.source !== undefined) { const inside = prefixTest(filter.source); tests.push((row) => inside(row.source)) }
  if (filter.destination !== undefined) { const inside = prefixTest(filter.destination); tests.push((row) => inside(row.destination)) }
  if (filter.address !== undefined) {
    const inside = prefixTest(filter.address)
    tests.push((row) => inside(row.source) || inside(row.destination) || inside(row.replySource) || inside(row.replyDestination))
  }
  if (filter.port !== undefined) {
    const port = filter.port
    tests.push((row) => row.sourcePort === port || row.destinationPort === port || row.replySourcePort === port || row.replyDestinationPort === port)
  }
  if (filter.phases !== undefined) {
    const phases = new Set(filter.phases)
    tests.push((row) => phases.has(row.phase.toUpperCase()))
  }
  equal(filter.sourcePort, (row) => row.sourcePort)
  equal(filter.destinationPort, (row) => row.destinationPort)
  equal(filter.protocol, (row) => row.protocol)
  equal(filter.family, (row) => row.family)
  equal(filter.domain, (row) => row.domain)
  equal(filter.zoneIn, (row) => row.zoneIn)
  equal(filter.zoneOut, (row) => row.zoneOut)
  equal(filter.policy, (row) => row.policy)
  equal(filter.vip, (row) => row.vip)
  equal(filter.real, (row) => row.real)
  equal(filter.rg, (row) => row.rg)
  equal(filter.app, (row) => row.app)
  equal(filter.id, (row) => row.id)
  flag(filter.snat, 'SNAT')
  flag(filter.dnat, 'DNAT')
  flag(filter.fromPeer, 'PEER')
  const { minIdleMs, minAgeMs, maxAgeMs } = filter
  if (minIdleMs !== undefined) tests.push((row) => row.idleMs >= minIdleMs)
  if (minAgeMs !== undefined) tests.push((row) => row.ageMs >= minAgeMs)
  if (maxAgeMs !== undefined) tests.push((row) => row.ageMs < maxAgeMs)
  return (row) => tests.every((test) => test(row))
}

function prefixTest (prefix: string): (address: string) => boolean {
  const [address = '', length] = prefix.split('/')
  const family = address.includes(':') ? 'ipv6' : 'ipv4'
  const list = new BlockList()
  list.addSubnet(address, length === undefined ? (family === 'ipv6' ? 128 : 32) : Number(length), family)
  return (candidate) => list.check(candidate, candidate.includes(':') ? 'ipv6' : 'ipv4')
}
