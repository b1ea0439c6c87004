/** Where routes are put: whole states, never changes, so that what others did is put right with the next. */
import type { BgpRouteSink } from '../../contract/bgp-announce.js'

export interface PutResult { readonly added: number, readonly removed: number }

export interface Place {
  readonly name: string
  readonly kind: BgpRouteSink['kind']
  /** Makes it have routes to these prefixes, and of those in `known` no others. @throws what went wrong; some may be done. */
  put (wanted: readonly string[], known: readonly string[], signal: AbortSignal): Promise<PutResult>
}
