/**
 * May this node take a group by a planned move (D7)? Pure function of facts. Some reasons compare with the owner; when nobody owns there is
 * nothing to compare with, and only what concerns this node counts.
 */
export interface ReadinessFacts {
  /** A cut was equal and an audit has passed since (R28). */
  readonly provenEqual: boolean
  readonly idMapsEqual: boolean
  readonly interfacesDown: number
  /** Of synced sessions. */
  readonly nextHopsUnresolved: number
  readonly capacitySessions: number
  readonly ownerSessions: number
  readonly natPortsUnreserved: number
  readonly keeperAlive: boolean
  /** Codes of alarms that block. */
  readonly blockingAlarms: readonly string[]
}

/** Nothing is known yet, so nothing is ready. */
export const unknownFacts: ReadinessFacts = {
  provenEqual: false, idMapsEqual: false, interfacesDown: 0, nextHopsUnresolved: 0, capacitySessions: 0, ownerSessions: 0,
  natPortsUnreserved: 0, keeperAlive: false, blockingAlarms: [],
}

export type ReadinessReason = 'not-proven-equal' | 'generation-differs' | 'id-maps-differ' | 'capacity' | 'nat-ports' | 'interfaces-down' | 'next-hops' | 'keeper-away' | 'alarm'

/** `ownerGeneration` null: nobody owns. */
export interface Comparison { readonly generation: bigint, readonly ownerGeneration: bigint | null }

interface Rule { readonly reason: ReadinessReason, readonly against: 'owner' | 'self', readonly broken: (f: ReadinessFacts, c: Comparison) => boolean }

export const readinessRules: readonly Rule[] = [
  { reason: 'not-proven-equal', against: 'owner', broken: f => !f.provenEqual },
  { reason: 'generation-differs', against: 'owner', broken: (_, c) => c.generation !== c.ownerGeneration },
  { reason: 'id-maps-differ', against: 'owner', broken: f => !f.idMapsEqual },
  { reason: 'capacity', against: 'owner', broken: f => f.capacitySessions < f.ownerSessions },
  { reason: 'nat-ports', against: 'owner', broken: f => f.natPortsUnreserved > 0 },
  { reason: 'interfaces-down', against: 'self', broken: f => f.interfacesDown > 0 },
  { reason: 'next-hops', against: 'owner', broken: f => f.nextHopsUnresolved > 0 },
  { reason: 'keeper-away', against: 'self', broken: f => !f.keeperAlive },
  { reason: 'alarm', against: 'self', broken: f => f.blockingAlarms.length > 0 },
]

export interface Readiness { readonly ready: boolean, readonly reasons: readonly ReadinessReason[] }

export function readiness (facts: ReadinessFacts, comparison: Comparison): Readiness {
  const applies = (rule: Rule): boolean => rule.against === 'self' || comparison.ownerGeneration !== null
  const reasons = readinessRules.filter(rule => applies(rule) && rule.broken(facts, comparison)).map(rule => rule.reason)
  return { ready: reasons.length === 0, reasons }
}
