/** A program whose exit code is 0. */
import { killGroup, spawnGroup } from '../../lib/process-group.js'
import type { Probe } from '../checker.js'
import { failed, passed } from './outcome.js'

export const execProbe: Probe = ({ check, address, port }, done) => {
  const beganAt = performance.now()
  const argv = (check.argv ?? []).map(text => text.replaceAll('{address}', address).replaceAll('{port}', String(port)))
  const child = spawnGroup(argv)
  if (child === null) {
    done(failed(beganAt, 'exit', `${argv[0] ?? ''} cannot be run`))
    return () => { /* it does not run */ }
  }
  child.once('exit', (code, signal) => {
    killGroup(child)
    done(code === 0 ? passed(beganAt) : failed(beganAt, 'exit', signal === null ? `exit code ${code ?? ''}` : `ended by ${signal}`))
  })
  return () => { killGroup(child) }
}
