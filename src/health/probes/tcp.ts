/** A connection is made, and reset: nothing of it is left waiting at either end. By sockets of ours, since a probe costs Node three times as much. */
import type { NativeConnects } from '../../native/binding.js'
import type { Probe } from '../checker.js'
import { Look } from './look.js'
import { failedBy, passed, sourceOf } from './outcome.js'

export function tcpProbes (connects: NativeConnects, errorName: (errno: number) => string): { readonly probe: Probe, readonly close: () => void } {
  const waiting = new Map<number, (errno: number) => void>()
  const look = new Look(() => {
    // All names first: they are free, and who hears of one may begin another under it.
    const ends: Array<() => void> = []
    for (let ended = connects.ended(); ended.length > 0; ended = connects.ended()) {
      for (let i = 0; i + 1 < ended.length; i += 2) {
        const [name = 0, errno = 0] = [ended[i], ended[i + 1]]
        const done = waiting.get(name)
        waiting.delete(name)
        if (done !== undefined) ends.push(() => { done(errno) })
      }
    }
    for (const end of ends) end()
  }, () => waiting.size > 0)

  const probe: Probe = ({ check, address, port }, done) => {
    const beganAt = performance.now()
    const end = (errno: number): void => { done(errno === 0 ? passed(beganAt) : failedBy(beganAt, errorName(errno), `connect ${errorName(errno)}`)) }
    const name = connects.begin(address, port, sourceOf(check, address) ?? '')
    if (name <= 0) {
      end(-name)
      return () => { /* it has ended */ }
    }
    waiting.set(name, end)
    look.arm()
    return () => { if (waiting.delete(name)) connects.cancel(name) }
  }
  return {
    probe,
    close: () => {
      look.close()
      for (const name of waiting.keys()) connects.cancel(name)
      waiting.clear()
      connects.close()
    }
  }
}
