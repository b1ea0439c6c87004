/** One agent, followed: its objects by kind, its latest events, and whether it can be reached, over connections that break. */
import { credentials } from '@grpc/grpc-js'
import { kindNames, mirror, ObjectsConnection, plainObject, STALL_MS, watchEvents, WatchRefused, type Kind, type ObjectOf, type Store } from '../client/index.js'
import type { Event } from '../generated/proto/lockstep/v1/events.js'
import type { AgentTarget } from './agent-target.js'

/** How soon a connection that broke is told. */
const LOOK_MS = 250
const EVENTS_MAX = 200

const backoff = { leastMs: 100, mostMs: 1000, healthyMs: 2000 }

/** What a reader is told: a change of an object, an event of the journal, or whether the agent is reached. */
export type Told =
  | { readonly type: 'put', readonly kind: Kind, readonly key: string, readonly value: unknown }
  | { readonly type: 'delete', readonly kind: Kind, readonly key: string }
  | ({ readonly type: 'event' } & PlainEvent)
  | { readonly type: 'agent', readonly connected: boolean, readonly contactAt: number }

export interface PlainEvent {
  readonly id: string
  /** Unix ms. */
  readonly at: number
  readonly area: string
  readonly event: string
  readonly level: string
  readonly object: string
  readonly fields: Readonly<Record<string, unknown>>
}

export const isAudit = ({ area }: Pick<PlainEvent, 'area'>): boolean => area === 'audit'

export interface PlainAgent {
  readonly connected: boolean
  /** When it was last reached, Unix ms; 0: never. */
  readonly contactAt: number
  /** Of each kind, by key; `synced`: whole at least once. */
  readonly kinds: Readonly<Record<string, { readonly synced: boolean, readonly objects: Readonly<Record<string, unknown>> }>>
  /** Oldest first. */
  readonly events: readonly PlainEvent[]
}

export class FollowedAgent {
  private readonly over = new AbortController()
  private readonly objects: ObjectsConnection
  private readonly stores: ReadonlyMap<Kind, Store<ObjectOf<Kind>>>
  private readonly reading: Promise<void>
  private readonly look: NodeJS.Timeout
  private recent: PlainEvent[] = []
  private connected = true
  private contactAt = 0

  /** `stallMs`: events that are silent for so long are asked for again; the server says something every 15 s. */
  constructor ({ address, channel, ...target }: AgentTarget, private readonly tell: (told: Told) => void, private readonly stallMs = STALL_MS) {
    const patience = { 'grpc.initial_reconnect_backoff_ms': 100, 'grpc.max_reconnect_backoff_ms': 1000, ...channel }
    this.objects = new ObjectsConnection({ address, credentials: target.credentials ?? credentials.createInsecure(), channel: patience })
    this.stores = new Map(kindNames.map(kind => [kind, this.follow(kind)]))
    this.reading = this.readEvents()
    this.look = setInterval(() => {
      const now = this.reached()
      if (now) this.contactAt = Date.now()
      if (now !== this.connected) tell({ type: 'agent', connected: now, contactAt: this.contactAt })
      this.connected = now
    }, LOOK_MS).unref()
  }

  /** Waits for what is not whole yet, until the signal fires. */
  async whole (signal: AbortSignal): Promise<void> {
    await Promise.all([...this.stores.values()].map(async (store) => { await store.waitSynced({ signal }).catch(() => undefined) }))
  }

  /** All that it has is known, and followed. A kind that an older agent does not have is refused, and counts for nothing. */
  reached (): boolean {
    const had = [...this.stores.values()].filter(store => !(store.error instanceof WatchRefused))
    return had.length > 0 && had.every(store => store.status().state === 'live')
  }

  /** Sorted by key. */
  plain (kind: Kind): Record<string, unknown> {
    return Object.fromEntries([...this.stores.get(kind)?.current() ?? []].sort(([a], [b]) => a < b ? -1 : 1).map(([key, value]) => [key, plainObject(kind, value)]))
  }

  /** `audit`: with what tells of other callers. */
  state (audit: boolean): PlainAgent {
    return { connected: this.reached(), contactAt: this.reached() ? Date.now() : this.contactAt, kinds: Object.fromEntries([...this.stores].map(([kind, { synced }]) => [kind, { synced, objects: this.plain(kind) }])), events: audit ? this.recent : this.recent.filter(event => !isAudit(event)) }
  }

  async close (): Promise<void> {
    clearInterval(this.look)
    this.over.abort()
    await Promise.all([this.reading, ...[...this.stores.values()].map(async (store) => { await store.close() })])
    this.objects.close()
  }

  private follow (kind: Kind): Store<ObjectOf<Kind>> {
    const store = mirror<ObjectOf<Kind>>(this.objects.open(kind), { backoff })
    store.subscribe(({ changes }) => {
      for (const change of changes) {
        if (change.kind === 'removed') this.tell({ type: 'delete', kind, key: change.key })
        else this.tell({ type: 'put', kind, key: change.key, value: plainObject(kind, change.next) })
      }
    })
    return store
  }

  /** Until it is closed, or for as long as the agent has such events and tells them. */
  private async readEvents (): Promise<void> {
    try {
      for await (const events of watchEvents(this.objects.openEvents(), { signal: this.over.signal, stallMs: this.stallMs, backoff })) {
        for (const event of events) {
          const plain = plainEvent(event)
          this.recent = [...this.recent.slice(1 - EVENTS_MAX), plain]
          this.tell({ type: 'event', ...plain })
        }
      }
    } catch { /* closed, or refused */ }
  }
}

const plainEvent = ({ id, atMs, area, name, level, object, fields }: Event): PlainEvent => ({ id, at: Number(atMs), area, event: name, level, object, fields: Object.fromEntries(fields.map(field => [field.name, field.value?.value ?? null])) })
