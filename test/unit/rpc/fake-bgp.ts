/** BGP as the surfaces have it, over readings of a test. */
import { Neighbours } from '../../../src/bgp/neighbours.js'
import type { BgpRoute, BgpRouteSink } from '../../../src/contract/bgp-announce.js'
import type { BgpControl, BgpPending, BgpSinkStatus } from '../../../src/contract/bgp.js'

export class FakeBgp implements BgpControl {
  /** Observe readings here. */
  readonly view = new Neighbours({ maxAgeMs: 30_000, kernelDecides: false })
  waiting: readonly BgpPending[] = []
  neighbours = async (): ReturnType<BgpControl['neighbours']> => await Promise.resolve(this.view.neighbours())
  sources = async (): ReturnType<BgpControl['sources']> => await Promise.resolve(this.view.sources())
  pending = async (): ReturnType<BgpControl['pending']> => await Promise.resolve(this.waiting)
  told: readonly BgpSinkStatus[] = []
  sinks = async (): ReturnType<BgpControl['sinks']> => await Promise.resolve(this.told)
  placed: readonly BgpRouteSink[] = []
  announced: readonly BgpRoute[] = []
  routes = async (): ReturnType<BgpControl['routes']> => await Promise.resolve(this.announced)
  routeSinks = async (): ReturnType<BgpControl['routeSinks']> => await Promise.resolve(this.placed)
  watch = (onChange: () => void): (() => void) => this.view.watch(onChange)
}
