/** A connection is made, and reset: nothing of it is left waiting at either end. */
import { connect } from 'node:net'
import type { Probe } from '../checker.js'
import { failedWith, from, passed } from './outcome.js'

export const tcpProbe: Probe = ({ check, address, port }, done) => {
  const beganAt = performance.now()
  const socket = connect({ host: address, port, ...from(check, address) })
  socket.once('connect', () => {
    done(passed(beganAt))
    socket.resetAndDestroy()
  })
  socket.on('error', (error) => { done(failedWith(beganAt, error)) })
  return () => { socket.destroy() }
}
