/** Applies of a rig on links: each waits until the links are there and the kernel has told of them, and then the far ends play. */
import type { NativeUserspace } from '../../src/native/binding.js'
import { type Rig } from './rig.js'
import type { Wires } from './wires.js'
import { until } from '../until.js'

export function settled (rig: Rig, wires: Wires, native: () => NativeUserspace | null): void {
  const { config } = rig.dataplane
  const { apply } = config
  const linked = (): boolean => {
    const made = native()
    return made !== null && known(made, wires)
  }
  let waiting: Promise<void> | null = null
  Object.defineProperty(config, 'apply', {
    value: async (...args: Parameters<typeof apply>) => {
      if (waiting !== null || !wires.settled() || !linked()) {
        // Who waits for links keeps its place among the applies.
        const mine = (waiting ?? Promise.resolve()).then(async () => {
          if (!wires.settled()) await wires.ready()
          if (!linked()) await until('what the kernel tells of the links', linked)
        })
        const last = mine.catch(() => undefined)
        waiting = last
        await mine
        if (waiting === last) waiting = null
      }
      const result = await apply(...args)
      wires.play()
      return result
    }
  })
}

/** The mirror of the kernel's links has every address that was given; a dataplane that is closed has no mirror, and says so itself. */
function known (native: NativeUserspace, wires: Wires): boolean {
  try {
    const links = native.links()
    return [...wires.macs()].every(([name, mac]) => links.some(l => l.name === name && l.mac === mac))
  } catch {
    return true
  }
}
