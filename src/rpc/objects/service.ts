/** lockstep.v1.Objects: a collection's cuts as messages, one stream a reader. What a reader does not take waits as one entry for each key. */
import type { UntypedServiceImplementation } from '@grpc/grpc-js'
import { LockstepError } from '../../contract/errors.js'
import { ObjectKind, WatchBegin, type ObjectMessage, type ObjectMessages, type ObjectsWatchRequest } from '../../generated/proto/lockstep/v1/objects.js'
import type { BeginReason, WatchMessage } from '../../lib/watch/messages.js'
import { Subscription } from '../../lib/watch/subscription.js'
import { streaming, type OnBug, type StreamContext } from '../handler.js'
import type { Subscribers } from '../subscribers.js'
import { Seats } from '../turns.js'
import type { Sources, Watched } from './kinds.js'
import type { Held } from './source.js'

const WATCHERS_MAX = 256
const KEYS_MAX = 1000
const STEPS_MAX = 512
const PROGRESS_MS = 15_000
/** What nobody could read for so long is not vouched for: the stream ends, and others are refused. */
const STALE_MS = 10_000
/** A stream ends after so long, give or take a quarter, so that load moves and what is forgotten goes. */
const AGE_MS = 20 * 60_000

type WatchBeginName = BeginReason | 'resumed'
export type OnBegin = (kind: string, begin: WatchBeginName) => void

export interface ObjectsTimes { readonly progressMs: number, readonly ageMs: number, readonly staleMs: number }

/** `onBegin`: a watch began. */
export function objectsImplementation (sources: Sources, subscribers: Subscribers, onBug: OnBug, onBegin: OnBegin = () => {}, times: ObjectsTimes = { progressMs: PROGRESS_MS, ageMs: AGE_MS, staleMs: STALE_MS }): UntypedServiceImplementation {
  const seats = new Seats('watchers of objects', WATCHERS_MAX)
  return {
    watch: streaming<ObjectsWatchRequest, ObjectMessages>(onBug, async (request, context) => {
      const source = sources.get(request.kind)
      if (source === undefined) throw new LockstepError('invalid', 'LS_R_KIND', 'no such kind of object', { object: 'kind', found: String(request.kind), expected: [...sources.keys()].map(kind => ObjectKind[kind]).join(', ') })
      if (request.keys.length > KEYS_MAX) throw new LockstepError('invalid', 'LS_R_KEYS', 'too many keys', { object: 'keys', found: String(request.keys.length), expected: `at most ${KEYS_MAX}`, next: 'watch all, and filter' })
      await seats.hold(async () => {
        const held = await source.hold()
        try {
          await serve(held, request, context, subscribers, (begin) => { onBegin(ObjectKind[request.kind].replace('OBJECT_KIND_', '').toLowerCase(), begin) }, times)
        } finally {
          held.release()
        }
      })
    })
  }
}

async function serve ({ collection, ageMs: unreadMs }: Held<Watched>, { kind, keys, token }: ObjectsWatchRequest, { signal, send, caller }: StreamContext<ObjectMessages>, subscribers: Subscribers, onBegin: (begin: WatchBeginName) => void, { progressMs, ageMs, staleMs }: ObjectsTimes): Promise<void> {
  const vouch = (): void => {
    if (unreadMs() > staleMs) throw new LockstepError('unavailable', 'LS_R_OBJECTS_STALE', 'the objects cannot be read', { object: ObjectKind[kind].replace('OBJECT_KIND_', '').toLowerCase(), found: `last read ${Math.round(unreadMs())} ms ago`, expected: `at most ${staleMs} ms`, next: 'ask again from the same token' })
  }
  vouch()
  let wake: () => void = () => undefined
  const sorted = [...new Set(keys)].sort()
  const of = new Subscription(collection, { keys: sorted.length === 0 ? null : new Set(sorted), scope: JSON.stringify([kind, sorted]), token, onPending: () => { wake() } })
  let resyncs = 0
  const leave = subscribers.enter('Objects', `${ObjectKind[kind].replace('OBJECT_KIND_', '').toLowerCase()}${sorted.length === 0 ? '' : ` (${sorted.length} keys)`}`, caller, () => ({ position: of.at, lag: of.lag, lost: 0, resyncs, detail: `epoch ${collection.epoch}` }))
  const onAbort = (): void => { wake() }
  signal.addEventListener('abort', onAbort)
  const until = performance.now() + ageMs * (0.75 + Math.random() / 2)
  try {
    while (performance.now() < until) {
      signal.throwIfAborted()
      const steps = of.cut()
      for (const step of steps) {
        if (step.kind === 'begin') onBegin(step.reason)
        else if (step.kind === 'hello' && step.resumed) onBegin('resumed')
      }
      if (steps.length === 0) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, progressMs)
          wake = () => { clearTimeout(timer); resolve() }
        })
        wake = () => undefined
        if (!of.ready) {
          vouch()
          steps.push(of.progress())
        }
      }
      if (steps.some(({ kind }) => kind === 'begin')) resyncs++
      for (let at = 0; at < steps.length; at += STEPS_MAX) await send({ messages: steps.slice(at, at + STEPS_MAX).map(message => ({ message: messageOf(message) })) })
    }
  } finally {
    leave()
    signal.removeEventListener('abort', onAbort)
    of.close()
  }
}

const begins = { initial: WatchBegin.WATCH_BEGIN_INITIAL, expired: WatchBegin.WATCH_BEGIN_EXPIRED, epoch: WatchBegin.WATCH_BEGIN_EPOCH } as const satisfies Record<BeginReason, WatchBegin>

function messageOf (message: WatchMessage<Watched>): ObjectMessage['message'] {
  switch (message.kind) {
    case 'hello': return { $case: 'hello', value: { epoch: message.epoch, resumed: message.resumed, revision: BigInt(message.rev) } }
    case 'begin': return { $case: 'begin', value: begins[message.reason] }
    case 'put': return { $case: 'put', value: { key: message.key, revision: BigInt(message.rev), createdRevision: BigInt(message.createdRev), value: message.value.value } }
    case 'delete': return { $case: 'delete', value: { key: message.key, revision: BigInt(message.rev) } }
    case 'synced': return { $case: 'synced', value: true }
    default: return { $case: message.kind, value: { token: message.token, revision: BigInt(message.rev), previous: BigInt(message.prev) } }
  }
}
