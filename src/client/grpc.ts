/** Watches of an agent, its objects and its journal, over gRPC: a unix socket, or TCP with TLS. */
import { status, type ChannelCredentials, type ClientOptions, type ClientReadableStream, type ServiceError } from '@grpc/grpc-js'
import { EventsClient, type EventMessages } from '../generated/proto/lockstep/v1/events.js'
import { ObjectKind, ObjectsClient, WatchBegin, type ObjectMessage, type ObjectMessages, type ObjectState } from '../generated/proto/lockstep/v1/objects.js'
import type { BeginReason, WatchMessage } from '../lib/watch/messages.js'
import { ProtocolError, WatchRefused } from './errors.js'
import type { EventsQuery, OpenEvents } from './events.js'
import type { Open } from './watch.js'

type Value = NonNullable<ObjectState['value']>
type Named = Value['$case']
/** Of a kind, as the protocol has it: VipStatus, CheckTarget ... */
export type ObjectOf<Kind extends Named> = Extract<Value, { readonly $case: Kind }>['value']
export type Kind = Named

const kinds: Readonly<Record<Kind, ObjectKind>> = {
  agent: ObjectKind.OBJECT_KIND_AGENT, vip: ObjectKind.OBJECT_KIND_VIP, target: ObjectKind.OBJECT_KIND_TARGET, link: ObjectKind.OBJECT_KIND_LINK,
  generation: ObjectKind.OBJECT_KIND_GENERATION, group: ObjectKind.OBJECT_KIND_GROUP, peer: ObjectKind.OBJECT_KIND_PEER,
  bgp: ObjectKind.OBJECT_KIND_BGP
}
export const isKind = (text: string): text is Kind => Object.hasOwn(kinds, text)
export const kindNames = Object.keys(kinds) as readonly Kind[]

const refused = new Set([status.INVALID_ARGUMENT, status.PERMISSION_DENIED, status.UNAUTHENTICATED, status.UNIMPLEMENTED, status.NOT_FOUND])

export interface ObjectsOptions {
  /** unix:/run/lockstep/agent.sock, dns:///edge-1:50461, ... */
  readonly address: string
  readonly credentials: ChannelCredentials
  /** Of grpc-js. */
  readonly channel?: Partial<ClientOptions>
}

/** One connection for any number of watches. */
export class ObjectsConnection {
  private readonly client: ObjectsClient
  private readonly journal: EventsClient

  constructor ({ address, credentials, channel }: ObjectsOptions) {
    const options = { 'grpc.keepalive_time_ms': 20_000, 'grpc.keepalive_timeout_ms': 10_000, ...channel }
    this.client = new ObjectsClient(address, credentials, options)
    this.journal = new EventsClient(address, credentials, { ...options, channelOverride: this.client.getChannel() })
  }

  /** `keys`: these only, at most 1000. */
  open<K extends Kind>(kind: K, keys: readonly string[] = []): Open<ObjectOf<K>> {
    return (token, signal) => this.stream(kind, keys, token, signal)
  }

  openEvents ({ minLevel = '', areas = [], names = [] }: EventsQuery = {}): OpenEvents {
    return async function * (this: ObjectsConnection, after: string, signal: AbortSignal) {
      for await (const { events } of answers<EventMessages>(() => this.journal.watch({ minLevel, areas: [...areas], names: [...names], after }), signal)) yield events
    }.bind(this)
  }

  close (): void { this.client.close() }

  private async * stream<K extends Kind>(kind: K, keys: readonly string[], token: string, signal: AbortSignal): AsyncGenerator<Array<WatchMessage<ObjectOf<K>>>> {
    for await (const { messages } of answers<ObjectMessages>(() => this.client.watch({ kind: kinds[kind], keys: [...keys], token }), signal)) yield messages.map(({ message }) => messageOf(kind, message))
  }
}

/** Of one call, which ends with whoever reads it. @throws WatchRefused */
async function * answers<M> (open: () => ClientReadableStream<M>, signal: AbortSignal): AsyncGenerator<M> {
  signal.throwIfAborted()
  const call = open()
  const onAbort = (): void => { call.cancel() }
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    yield * call as AsyncIterable<M>
  } catch (error) {
    const { code, details } = error as Partial<ServiceError>
    if (code !== undefined && refused.has(code)) throw new WatchRefused(details ?? status[code], { cause: error })
    throw error
  } finally {
    signal.removeEventListener('abort', onAbort)
    call.on('error', () => { /* that of the cancellation */ })
    call.cancel()
  }
}

const begins: Readonly<Partial<Record<WatchBegin, BeginReason>>> = { [WatchBegin.WATCH_BEGIN_INITIAL]: 'initial', [WatchBegin.WATCH_BEGIN_EXPIRED]: 'expired', [WatchBegin.WATCH_BEGIN_EPOCH]: 'epoch' }

/** @throws ProtocolError for what this version does not know */
function messageOf<K extends Kind> (kind: K, message: ObjectMessage['message']): WatchMessage<ObjectOf<K>> {
  switch (message?.$case) {
    case 'hello': return { kind: 'hello', epoch: message.value.epoch, resumed: message.value.resumed, rev: Number(message.value.revision) }
    case 'begin': return { kind: 'begin', reason: begins[message.value] ?? 'initial' }
    case 'put': {
      const { key, revision, createdRevision, value } = message.value
      if (value?.$case !== kind) throw new ProtocolError(`an object of kind ${value?.$case ?? 'none'} in a watch of ${kind}`)
      return { kind: 'put', key, rev: Number(revision), createdRev: Number(createdRevision), value: value.value as ObjectOf<K> }
    }
    case 'delete': return { kind: 'delete', key: message.value.key, rev: Number(message.value.revision) }
    case 'synced': return { kind: 'synced' }
    case 'commit':
    case 'progress': return { kind: message.$case, token: message.value.token, rev: Number(message.value.revision), prev: Number(message.value.previous) }
    default: throw new ProtocolError('a message of a newer server')
  }
}
