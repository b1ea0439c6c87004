/**
 * Runs the monitors of redundancy groups: what each takes off a priority while it is down. Facts are looked at every POLL_MS; scripts run by themselves
 * (script.ts). What counts of it, and when, is damped in weight.ts.
 */
import { isDeepStrictEqual } from 'node:util'
import type { ClusterGroup, Monitor } from '../contract/cluster.js'
import { startScript, type Script } from './script.js'

export interface MonitorFacts {
  readonly interfaceUp: (name: string) => boolean
  readonly neighbourResolved: (address: string) => boolean
}

export interface GroupMonitors {
  /** Sum of the weights of those that are down. */
  readonly lostWeight: number
  /** Their names, in the order of the configuration. */
  readonly down: readonly string[]
}

export interface Monitors {
  /** Other groups from now on; a script whose monitor stays as it is goes on. */
  readonly replace: (groups: readonly ClusterGroup[]) => void
  /** Running scripts are killed; nothing is told any more. */
  readonly close: () => void
}

const POLL_MS = 200
const none: GroupMonitors = { lostWeight: 0, down: [] }

interface Watched { readonly rg: number, readonly monitor: Monitor, readonly script: Script | null }

/** `onChange` hears of a group when its result is another than before; at first nothing is down, and a script is up until it has said otherwise. */
export function startMonitors (groups: readonly ClusterGroup[], facts: MonitorFacts, onChange: (rg: number, result: GroupMonitors) => void): Monitors {
  let watched: readonly Watched[] = []
  const told = new Map<number, GroupMonitors>()

  const down = ({ monitor, script }: Watched): boolean => {
    switch (monitor.kind) {
      case 'interface': return !facts.interfaceUp(monitor.interface)
      case 'neighbour': return !facts.neighbourResolved(monitor.address)
      case 'script': return script?.failed() ?? false
    }
  }
  const look = (): void => {
    const failed = watched.filter(down)
    for (const rg of new Set([...told.keys(), ...watched.map(w => w.rg)])) {
      const mine = failed.filter(w => w.rg === rg).map(w => w.monitor)
      const result: GroupMonitors = { lostWeight: mine.reduce((sum, m) => sum + m.weight, 0), down: mine.map(m => m.name) }
      if (isDeepStrictEqual(result, told.get(rg) ?? none)) continue
      told.set(rg, result)
      onChange(rg, result)
    }
  }
  const replace = (next: readonly ClusterGroup[]): void => {
    const before = new Set(watched)
    watched = next.flatMap(({ rg, monitors }) => monitors.map(monitor => {
      const same = [...before].find(w => w.rg === rg && isDeepStrictEqual(w.monitor, monitor))
      if (same === undefined) return { rg, monitor, script: monitor.kind === 'script' ? startScript(monitor) : null }
      before.delete(same)
      return same
    }))
    for (const { script } of before) script?.close()
    look()
  }

  replace(groups)
  const timer = setInterval(look, POLL_MS)
  return {
    replace,
    close: () => {
      clearInterval(timer)
      for (const { script } of watched) script?.close()
    }
  }
}
