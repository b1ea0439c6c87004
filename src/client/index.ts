/**
 * Lockstep's objects as they are and as they change, for other programs: START HERE for src/client, published as `lockstep/client`. watch() gives batches, follow()
 * calls back, mirror() keeps a map, watchOne() one object; all of them over connections that break.
 */
export type { BeginReason } from '../lib/watch/messages.js'
export { defaultBackoff, type Backoff } from './clock.js'
export { watchEvents, type EventsOptions, type EventsQuery, type OpenEvents } from './events.js'
export { FollowerError, ProtocolError, WatchRefused, WatchStalled } from './errors.js'
export { follow, type Follower } from './follow.js'
export { isKind, kindNames, ObjectsConnection, type Kind, type ObjectOf, type ObjectsOptions } from './grpc.js'
export { mirror, type MirrorOptions, type Store } from './mirror.js'
export { enumWord, plainObject, type PlainOf } from './plain.js'
export { STALL_MS } from './stall.js'
export type { Change } from './view.js'
export { watch, Watch, type Batch, type Open, type WatchOptions, type WatchStatus } from './watch.js'
export { watchOne } from './watch-one.js'
