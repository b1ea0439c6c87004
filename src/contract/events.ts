/** What happens in an agent, as the surfaces see it. */
import type { EventLevel } from './balancing.js'

export const eventAreas = ['agent', 'config', 'cluster', 'load-balancer', 'bgp', 'audit'] as const
export type EventArea = typeof eventAreas[number]

/** Names and fields are those of the log. */
export interface AgentEvent {
  /** Unix ms. */
  readonly at: number
  readonly area: EventArea
  readonly name: string
  readonly level: EventLevel
  /** `rg 0`, `vip web`; '': the agent. */
  readonly object: string
  readonly fields: Readonly<Record<string, string | number | null>>
}

/** Kept and numbered from 1. */
export interface NumberedEvent extends AgentEvent { readonly seq: number }

export interface EventJournal {
  /** Numbers mean something in one epoch only. */
  readonly epoch: string
  /** Calls back for what is kept behind that number, or all that is, then for each that comes; what it returns ends that. */
  readonly watch: (after: number | null, onEvent: (event: NumberedEvent) => void) => () => void
}

/** Stands where so many events are missing; its number is that of the last of them. */
export const journalLost = (lost: number): AgentEvent => ({ at: Date.now(), area: 'agent', name: 'events-lost', level: 'warn', object: '', fields: { lost } })
