/** Families of what the agent does besides forwarding: configurations, events, its threads, and what its sessions are. Labels are code names and names of zones. */
import type { Registry } from 'prom-client'
import type { SessionTally } from '../contract/dataplane.js'
import type { AgentInfo, ConfigStatus, NameBook } from '../contract/services.js'
import { phase } from '../generated/codes.js'
import { objectName } from './counter-blocks.js'
import { addCounter, addGauge, type Series } from './families.js'

/** As of this scrape. `null`: not known. */
export interface ControlReading { readonly info: AgentInfo, readonly config: ConfigStatus | null, readonly sessions: SessionTally | null }

/** IANA numbers of those that have a name here. */
const protocols: Readonly<Record<number, string>> = { 1: 'icmp', 6: 'tcp', 17: 'udp', 58: 'icmpv6' }
const otherProtocol = 'other'

export function addControl (registry: Registry, read: () => ControlReading, names: NameBook): void {
  const gauge = (name: string, help: string, labelNames: readonly string[], seriesOf: (r: ControlReading) => readonly Series[]): void => { addGauge(registry, { name, help, labelNames, series: () => seriesOf(read()) }) }
  const counter = (name: string, help: string, labelNames: readonly string[], seriesOf: (r: ControlReading) => readonly Series[]): void => { addCounter(registry, { name, help, labelNames, series: () => seriesOf(read()) }) }

  counter('config_applies', 'Configurations that came into force, by where they came from', ['source'], ({ info }) => Object.entries(info.applies.done).map(([source, n]) => [{ source }, n]))
  counter('config_apply_errors', 'Configurations that did not come into force: refused before anything was touched, or failed', ['result'], ({ info: { applies } }) => [[{ result: 'refused' }, applies.refused], [{ result: 'failed' }, applies.failed]])
  counter('config_apply_seconds', 'Time that applies took which came into force, by phase; total is all of it', ['phase'], ({ info }) => Object.entries(info.applies.seconds).map(([name, n]) => [{ phase: name }, n]))
  gauge('config_unconfirmed', 'Whether the running configuration waits to be confirmed, and rolls back otherwise', ['node'], ({ info, config }) => config === null ? [] : [[{ node: info.node }, config.unconfirmed === null ? 0 : 1]])
  gauge('config_drift', 'Whether the running configuration is another than the one the agent starts with', ['node'], ({ info, config }) => config === null ? [] : [[{ node: info.node }, config.drift ? 1 : 0]])
  counter('events', 'Events of the journal, by what they are', ['area', 'name', 'level'], ({ info }) => info.events.map(({ area, name, level, count }) => [{ area, name, level }, count]))

  counter('trace_spans', 'Spans of control operations by what became of them: exported, dropped for want of room, failed at the collector', ['result'], ({ info }) => info.traces === null ? [] : Object.entries(info.traces).map(([result, n]) => [{ result }, n]))

  gauge('event_loop_delay_p99_seconds', 'Delay of an event loop of the agent, 99th percentile since its start, by thread', ['thread'], ({ info }) => info.threads.map(t => [{ thread: t.name }, t.loopDelayP99Ms / 1000]))
  gauge('thread_busy_ratio', 'Share of the latest seconds that a thread of the agent had work', ['thread'], ({ info }) => info.threads.flatMap((t): Series[] => t.busy === null ? [] : [[{ thread: t.name }, t.busy]]))
  gauge('thread_heap_bytes', 'JavaScript objects of a thread of the agent', ['thread'], ({ info }) => info.threads.map(t => [{ thread: t.name }, t.heapBytes]))

  gauge('phase_sessions', 'Live sessions by phase', ['phase'], ({ sessions }) => sessions === null ? [] : phase.map(({ name }, i) => [{ phase: name }, sessions.phases[i] ?? 0]))
  gauge('zone_sessions', 'Live sessions by the zone that opened them', ['zone'], ({ sessions }) => sessions === null ? [] : [...sessions.zones].flatMap((n, id): Series[] => {
    const zone = objectName(names, 'zone', id)
    return zone === null ? [] : [[{ zone }, n]]
  }))
  gauge('protocol_sessions', 'Live sessions by protocol', ['protocol'], ({ sessions }) => {
    if (sessions === null) return []
    const sums = new Map([...Object.values(protocols), otherProtocol].map(name => [name, 0]))
    sessions.protocols.forEach((n, number) => {
      const name = protocols[number] ?? otherProtocol
      sums.set(name, (sums.get(name) ?? 0) + n)
    })
    return [...sums].map(([protocol, n]) => [{ protocol }, n])
  })
}
