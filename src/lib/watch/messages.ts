/**
 * What a watch tells: the objects of a kind as they are, then every change, joined by one revision.
 *
 *   hello  [begin  put*  commit  synced]  or, resumed,  (put | delete)*  commit  synced;  then  ((put | delete)+ commit | progress)*
 *
 * A commit ends what belongs together: with it the reader has what the server had at that revision. Revisions count commits, from 1, and mean something in one epoch only.
 */

/** Why everything is told anew: the first time; the history does not reach back; another server, or another life of it. */
export type BeginReason = 'initial' | 'expired' | 'epoch'

export interface Put<V> {
  readonly kind: 'put'
  readonly key: string
  /** Of its last change, and of its creation: another creation is another object of that name. */
  readonly rev: number
  readonly createdRev: number
  readonly value: V
}

export interface Delete { readonly kind: 'delete', readonly key: string, readonly rev: number }

/** `prev`: of the commit or progress before, 0: none in this stream; a reader that does not stand there has missed something. */
interface Position { readonly token: string, readonly rev: number, readonly prev: number }

export type WatchMessage<V> =
  /** `rev`: of the token, when resumed; else 0. */
  | { readonly kind: 'hello', readonly epoch: string, readonly resumed: boolean, readonly rev: number }
  | { readonly kind: 'begin', readonly reason: BeginReason }
  | Put<V>
  | Delete
  | ({ readonly kind: 'commit' } & Position)
  /** Once, after the commit that completes what was asked for. */
  | { readonly kind: 'synced' }
  /** Nothing happened up to this revision but what was told. */
  | ({ readonly kind: 'progress' } & Position)
