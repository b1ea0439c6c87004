/**
 * What the agents have and what happens in them, for browsers: one numbered row of messages, each a change of an object or an event of a journal, of which the last
 * ones are kept. A reader gets everything, or what is behind the last message that it had. Agents are followed while somebody reads, and a minute longer.
 */
import { randomBytes } from 'node:crypto'
import { kindNames, type Kind } from '../client/index.js'
import { eventId } from '../lib/event-id.js'
import { EventLog, type Numbered } from '../lib/event-log.js'
import { toJson } from '../lib/json.js'
import type { AgentTargets } from './agent-target.js'
import { FollowedAgent, isAudit, type PlainEvent, type Told } from './followed-agent.js'

const KEPT_MAX = 2000
const LOOK_MS = 250
const IDLE_MS = 60_000
const WAIT_MS = 3000
/** One text for all that come at once, as after a restart of the gateway, while nothing changes. */
const SAME_MS = 1000

/** Of server-sent events, as sent. `guarded`: to who may read the audit; others get its number alone (withheld). */
export interface Line { readonly text: string, readonly guarded: boolean }
export type Message = Numbered<Line>

export interface Live {
  /** Of the ids of messages; another life of the gateway has another. */
  readonly epoch: string
  /** Everything, by agent, kind and key, with the number of the last message that it has; events of the audit if wanted. Waits for what is not whole yet, and then not for ever. */
  readonly state: (audit: boolean) => Promise<{ readonly seq: number, readonly json: string }>
  /** Of that kind alone, by agent; as JSON. */
  readonly objects: (kind: Kind) => Promise<string>
  /** Nothing behind that number is gone. */
  readonly reaches: (seq: number) => boolean
  /** Messages behind that number, then each that comes. */
  readonly follow: (behind: number, onMessage: (message: Message) => void) => () => void
  readonly close: () => Promise<void>
}

/** The number of a message, so that none seems missing. */
export const withheld = (id: string): string => `id: ${id}\nevent: withheld\ndata: {}\n\n`

export function liveOf (targets: AgentTargets, o: { readonly nowMs?: () => number, readonly idleMs?: number, readonly waitMs?: number } = {}): Live {
  const { nowMs = () => performance.now(), idleMs = IDLE_MS, waitMs = WAIT_MS } = o
  const epoch = randomBytes(6).toString('hex')
  const log = new EventLog<Line>(() => ({ text: '', guarded: false }), KEPT_MAX)
  let agents: ReadonlyMap<string, FollowedAgent> | null = null
  let lookedAt = nowMs()
  /** With the audit, and without. */
  const said = new Map<boolean, { readonly seq: number, readonly json: string, readonly atMs: number }>()

  const tell = (agent: string, { type, ...rest }: Told): void => {
    const id = eventId(epoch, log.told + 1)
    log.tell({ text: `id: ${id}\nevent: ${type}\ndata: ${toJson({ agent, ...rest })}\n\n`, guarded: type === 'event' && isAudit(rest as PlainEvent) })
  }
  const stop = async (): Promise<void> => {
    clearInterval(look)
    const of = agents
    if (of === null) return
    agents = null
    said.clear()
    log.forget()
    await Promise.all([...of.values()].map(async (agent) => { await agent.close() }))
  }
  let look: NodeJS.Timeout | undefined
  const followed = async (): Promise<ReadonlyMap<string, FollowedAgent>> => {
    lookedAt = nowMs()
    if (agents === null) {
      agents = new Map([...targets].map(([name, target]) => [name, new FollowedAgent(target, (told) => { tell(name, told) })]))
      look = setInterval(() => { if (!log.watched && nowMs() - lookedAt > idleMs) void stop() }, LOOK_MS).unref()
    }
    const of = agents
    const patience = AbortSignal.timeout(waitMs)
    await Promise.all([...of.values()].map(async (agent) => { await agent.whole(patience) }))
    return of
  }
  const byName = <T>(of: ReadonlyMap<string, FollowedAgent>, view: (agent: FollowedAgent) => T): Record<string, T> => Object.fromEntries([...of].map(([name, agent]) => [name, view(agent)]))

  return {
    epoch,
    state: async (audit) => {
      const of = await followed()
      const [seq, atMs] = [log.told, nowMs()]
      const before = said.get(audit)
      if (before?.seq === seq && atMs - before.atMs < SAME_MS) return before
      const now = { seq, atMs, json: toJson({ epoch, seq, at: Date.now(), kinds: kindNames, agents: byName(of, agent => agent.state(audit)) }) }
      if ([...of.values()].every(agent => agent.reached())) said.set(audit, now)
      else said.delete(audit)
      return now
    },
    objects: async kind => toJson(byName(await followed(), agent => agent.plain(kind))),
    reaches: seq => log.reaches(seq),
    follow: (behind, onMessage) => {
      const end = log.follow(behind, onMessage)
      return () => {
        lookedAt = nowMs()
        end()
      }
    },
    close: stop
  }
}
