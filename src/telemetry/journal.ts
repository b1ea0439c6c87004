/** Every area's events in one order, each as the journal has it: for people and programs that follow the whole agent. */
import { randomBytes } from 'node:crypto'
import type { LoadBalancerEvent } from '../contract/balancing.js'
import type { ClusterEvent } from '../contract/cluster.js'
import { journalLost, type AgentEvent } from '../contract/events.js'
import type { EventTally, SwitchEvent } from '../contract/services.js'
import { EventLog } from '../lib/event-log.js'

export const JOURNAL_MAX = 2000

type Fields = AgentEvent['fields']

export class Journal extends EventLog<AgentEvent> {
  /** Of its numbers. */
  readonly epoch = randomBytes(6).toString('hex')

  constructor (private readonly nowMs: () => number = Date.now) { super(journalLost, JOURNAL_MAX) }

  private readonly counts = new Map<string, EventTally>()

  /** By what they are, since the agent started. Names are those of the code, and few. */
  get tally (): readonly EventTally[] { return [...this.counts.values()] }

  override tell (event: AgentEvent, seq?: number): void {
    super.tell(event, seq)
    const { area, name, level } = event
    const key = `${area} ${name} ${level}`
    this.counts.set(key, { area, name, level, count: (this.counts.get(key)?.count ?? 0) + 1 })
  }

  /** What an area does not tell by itself. */
  note (area: AgentEvent['area'], name: string, object: string, fields: Fields, level: AgentEvent['level'] = 'info'): void {
    this.tell({ at: this.nowMs(), area, name, level, object, fields })
  }

  balancing ({ at, name, level, fields }: LoadBalancerEvent): void {
    const of = ['vip', 'real', 'target'].find(key => typeof fields[key] === 'string')
    this.tell({ at, area: 'load-balancer', name, level, object: of === undefined ? '' : `${of} ${fields[of]}`, fields })
  }

  cluster ({ at, name, rg, peer, fields }: ClusterEvent): void {
    this.tell({ at, area: 'cluster', name, level: worse.has(name) || fields['to'] === 'lost' ? 'warn' : 'info', object: rg !== null ? `rg ${rg}` : peer !== null ? `peer ${peer}` : '', fields: { ...fields, ...peer === null ? {} : { peer } } })
  }

  switched (event: SwitchEvent): void {
    const flat = Object.entries(event).filter(([key]) => key !== 'event').map(([key, value]) => [key, typeof value === 'object' ? JSON.stringify(value) : value as string | number] as const)
    this.note('agent', event.event, 'backend', Object.fromEntries(flat), event.event === 'switch_failed' ? 'error' : event.event === 'switch_refused' ? 'warn' : 'info')
  }

  private reasons: readonly string[] = []

  /** What the agent suffers from now: told when it begins and when it ends. Returns what begins and what ends. */
  degraded (now: readonly string[]): { readonly begins: readonly string[], readonly ends: readonly string[] } {
    const begins = now.filter(reason => !this.reasons.includes(reason))
    const ends = this.reasons.filter(reason => !now.includes(reason))
    for (const reason of begins) this.note('agent', 'degraded', '', { reason }, 'warn')
    for (const reason of ends) this.note('agent', 'no-longer-degraded', '', { reason })
    this.reasons = now
    return { begins, ends }
  }
}

/** Of the cluster: less protection than before. */
const worse: ReadonlySet<string> = new Set(['move-refused', 'move-failed', 'contested', 'group.differs', 'sync.lost', 'sync.refused', 'sync.differs', 'sync.protocol', 'sync.overrun', 'events-lost'])
