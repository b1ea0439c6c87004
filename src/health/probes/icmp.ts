/** An echo request and its reply. */
import type { NativeEcho } from '../../native/binding.js'
import type { Probe } from '../checker.js'
import { Look } from './look.js'
import { failed, passed, sourceOf } from './outcome.js'

const SEQUENCES = 1 << 16
const unreachable: Readonly<Record<string, true>> = { ENETUNREACH: true, EHOSTUNREACH: true, EADDRNOTAVAIL: true }

export function icmpProbes (socket: NativeEcho, errorName: (errno: number) => string): { readonly probe: Probe, readonly close: () => void } {
  const waiting = new Map<number, { readonly address: string, readonly answered: () => void }>()
  let next = 0
  const look = new Look(() => {
    const replies = socket.receive()
    for (let i = 0; i + 1 < replies.length; i += 2) {
      const asked = waiting.get(Number(replies[i + 1]))
      if (asked !== undefined && asked.address === replies[i]) asked.answered()
    }
  }, () => waiting.size > 0)

  const probe: Probe = ({ check, address }, done) => {
    const beganAt = performance.now()
    for (let tries = 0; waiting.has(next) && tries < SEQUENCES; tries++) next = (next + 1) % SEQUENCES
    const sequence = next
    next = (next + 1) % SEQUENCES
    const errno = socket.send(address, sourceOf(check, address) ?? '', sequence)
    if (errno !== 0) {
      const name = errorName(errno)
      done(failed(beganAt, unreachable[name] === true ? 'unreachable' : 'error', name))
      return () => { /* nothing was sent */ }
    }
    const end = (): void => { waiting.delete(sequence) }
    waiting.set(sequence, {
      address,
      answered: () => {
        end()
        done(passed(beganAt))
      }
    })
    look.arm()
    return end
  }
  return {
    probe,
    close: () => {
      look.close()
      waiting.clear()
      socket.close()
    }
  }
}
