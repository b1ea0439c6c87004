/**
 * What an agent has and what happens in it, for browsers: one numbered row of messages, each a change of an object or an event of the journal, of which the last
 * ones are kept. A reader gets everything, or what is behind the last message that it had; one that does not read is let go, and comes back.
 */
import { randomBytes } from 'node:crypto'
import { credentials } from '@grpc/grpc-js'
import { kindNames, mirror, ObjectsConnection, plainObject, type Kind, type ObjectOf, type Store } from '../client/index.js'
import { EventsClient, type Event } from '../generated/proto/lockstep/v1/events.js'
import { toJson } from '../lib/json.js'

const KEPT_MAX = 2000
const KEPT_MS = 30_000
const AGAIN_MS = 500
/** How soon a connection that broke is told. */
const LOOK_MS = 250
/** Nobody has looked for so long: nothing is followed any more. */
const IDLE_MS = 60_000
const EVENTS_MAX = 200

export interface LiveMessage {
  readonly seq: number
  /** put, delete, event or agent. */
  readonly type: string
  readonly data: string
  readonly atMs: number
}

export interface Live {
  /** Of the ids of messages; another life of the gateway has another. */
  readonly epoch: string
  /** Everything, by kind and key, with the number of the last message that it has. Waits for what is not whole yet, and then not for ever. */
  readonly state: () => Promise<{ readonly seq: number, readonly json: string }>
  /** Of that kind alone; as JSON of an object by key. */
  readonly objects: (kind: Kind) => Promise<string>
  /** Messages behind that number; `null`: some of them are gone. */
  readonly since: (seq: number) => readonly LiveMessage[] | null
  readonly subscribe: (onMessage: (message: LiveMessage) => void) => () => void
  readonly close: () => Promise<void>
}

interface Following { readonly stores: ReadonlyMap<Kind, Store<ObjectOf<Kind>>>, readonly stop: () => Promise<void> }

export function liveOf (target: string, o: { readonly nowMs?: () => number, readonly idleMs?: number, readonly waitMs?: number } = {}): Live {
  const { nowMs = () => performance.now(), idleMs = IDLE_MS, waitMs = 3000 } = o
  const epoch = randomBytes(6).toString('hex')
  const kept: LiveMessage[] = []
  const subscribers = new Set<(message: LiveMessage) => void>()
  let seq = 0
  let forgotten = 0
  let recent: Event[] = []
  let following: Following | null = null
  let lookedAt = nowMs()

  const tell = (type: string, data: string): void => {
    const message = { seq: ++seq, type, data, atMs: nowMs() }
    kept.push(message)
    while (kept.length > KEPT_MAX || (kept.length > 1 && (kept[0]?.atMs ?? 0) < nowMs() - KEPT_MS)) forgotten = kept.shift()?.seq ?? forgotten
    for (const subscriber of [...subscribers]) subscriber(message)
  }

  const begin = (): Following => {
    const over = new AbortController()
    const objects = new ObjectsConnection({ address: target, credentials: credentials.createInsecure(), channel: { 'grpc.initial_reconnect_backoff_ms': 100, 'grpc.max_reconnect_backoff_ms': 1000 } })
    const backoff = { leastMs: 100, mostMs: 1000, healthyMs: 2000 }
    const stores = new Map(kindNames.map((kind) => {
      const store = mirror<ObjectOf<Kind>>(objects.open(kind), { backoff })
      store.subscribe(({ changes }) => {
        for (const change of changes) {
          if (change.kind === 'removed') tell('delete', toJson({ kind, key: change.key }))
          else tell('put', toJson({ kind, key: change.key, value: plainObject(kind, change.next) }))
        }
      })
      return [kind, store] as const
    }))
    const journal = new EventsClient(target, credentials.createInsecure(), { 'grpc.initial_reconnect_backoff_ms': 100, 'grpc.max_reconnect_backoff_ms': 1000 })
    const events = followEvents(journal, over.signal, (event) => {
      recent = [...recent.slice(1 - EVENTS_MAX), event]
      tell('event', toJson(eventOf(event)))
    })
    let connected = true
    const look = setInterval(() => {
      if (subscribers.size === 0 && nowMs() - lookedAt > idleMs) return void stop()
      const now = [...stores.values()].every(store => store.status().state === 'live')
      if (now !== connected) tell('agent', toJson({ connected: now }))
      connected = now
    }, LOOK_MS)
    look.unref()
    const stop = async (): Promise<void> => {
      clearInterval(look)
      if (following !== mine) return
      following = null
      kept.length = 0
      forgotten = ++seq // who comes back later has not been told what ended meanwhile
      recent = []
      over.abort()
      await Promise.all([...stores.values()].map(async (store) => { await store.close() }))
      await events
      journal.close()
      objects.close()
    }
    const mine: Following = { stores, stop }
    return mine
  }

  const stores = async (): Promise<Following['stores']> => {
    lookedAt = nowMs()
    const { stores: of } = following ??= begin()
    const patience = AbortSignal.timeout(waitMs)
    await Promise.all([...of.values()].map(async (store) => { await store.waitSynced({ signal: patience }).catch(() => undefined) }))
    return of
  }
  const plainOf = (kind: Kind, store: Store<ObjectOf<Kind>> | undefined): Record<string, unknown> => Object.fromEntries([...store?.current() ?? []].sort(([a], [b]) => a < b ? -1 : 1).map(([key, value]) => [key, plainObject(kind, value)]))

  return {
    epoch,
    state: async () => {
      const of = await stores()
      const whole = Object.fromEntries([...of].map(([kind, store]) => [kind, { synced: store.synced, connected: store.status().state === 'live', objects: plainOf(kind, store) }]))
      return { seq, json: toJson({ epoch, seq, kinds: whole, events: recent.map(eventOf) }) }
    },
    objects: async (kind) => toJson(plainOf(kind, (await stores()).get(kind))),
    since: (from) => from < forgotten || from > seq ? null : kept.filter(message => message.seq > from),
    subscribe: (onMessage) => {
      subscribers.add(onMessage)
      return () => {
        lookedAt = nowMs()
        subscribers.delete(onMessage)
      }
    },
    close: async () => { await following?.stop() }
  }
}

const eventOf = ({ id, atMs, area, name, level, object, fields }: Event): object => ({ id, at: Number(atMs), area, event: name, level, object, fields: Object.fromEntries(fields.map(field => [field.name, field.value?.value ?? null])) })

/** Over connections that break, from where it was. */
async function followEvents (client: EventsClient, signal: AbortSignal, onEvent: (event: Event) => void): Promise<void> {
  let after = ''
  while (!signal.aborted) {
    const call = client.watch({ minLevel: 'info', areas: [], names: [], after })
    const onAbort = (): void => { call.cancel() }
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      for await (const { events } of call as AsyncIterable<{ readonly events: readonly Event[] }>) {
        for (const event of events) {
          onEvent(event)
          after = event.id
        }
      }
    } catch { /* it is asked again */ }
    signal.removeEventListener('abort', onAbort)
    if (!signal.aborted) await new Promise<void>((resolve) => { setTimeout(resolve, AGAIN_MS) })
  }
}
