/** Garbage is collected when it is asked for: otherwise what is measured of memory is chance. */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/** Bytes of JavaScript objects that are in use. */
export function heapInUse (): number {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  // a second time: what the first let go may have held something
  collect()
  collect()
  return process.memoryUsage().heapUsed
}
