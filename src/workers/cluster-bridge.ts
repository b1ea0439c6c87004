/** The cluster between the two threads: the main thread decides and keeps its events, the rpc worker asks for both. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { ClusterControl, ClusterEvent } from '../contract/cluster.js'
import type { EventLog } from '../ha/event-log.js'
import type { Caller } from './bridge.js'
import type { MainCalls } from './protocol.js'

type ClusterCalls = Pick<MainCalls, Extract<keyof MainCalls, `cluster${string}`>>

/** After a call for events that was refused: too many were under way. */
const AGAIN_MS = 1000

/** Main thread's end. `control` is asked for at each call: it may change with the configuration. */
export function clusterCalls (control: () => ClusterControl, events: EventLog): ClusterCalls {
  return {
    clusterStatus: async () => await control().status(),
    clusterSwitchover: async (rgs, to, signal) => await control().switchover(rgs, to, signal),
    clusterHold: async (rgs) => await control().hold(rgs),
    clusterRelease: async (rgs) => await control().release(rgs),
    clusterReset: async (rgs) => await control().reset(rgs),
    clusterVerify: async (rgs, signal) => await control().verify(rgs, signal),
    clusterEvents: events.after
  }
}

/** The rpc worker's end. What is kept comes a moment after `watch` was called. */
export function remoteCluster (main: Caller<MainCalls>): ClusterControl {
  return {
    status: async () => await main.call('clusterStatus', []),
    switchover: async (rgs, to, signal) => await main.call('clusterSwitchover', [rgs, to], signal),
    hold: async (rgs) => await main.call('clusterHold', [rgs]),
    release: async (rgs) => await main.call('clusterRelease', [rgs]),
    reset: async (rgs) => await main.call('clusterReset', [rgs]),
    verify: async (rgs, signal) => await main.call('clusterVerify', [rgs], signal),
    watch: (onEvent) => {
      const over = new AbortController()
      void follow(main, onEvent, over.signal)
      return () => { over.abort() }
    }
  }
}

/** Asks for what is new, and is answered when there is something; a call that fails is made again. */
async function follow (main: Caller<MainCalls>, onEvent: (event: ClusterEvent) => void, signal: AbortSignal): Promise<void> {
  let seen: number | null = null
  while (!signal.aborted) {
    const next: Awaited<ReturnType<EventLog['after']>> | null = await main.call('clusterEvents', [seen], signal).catch(() => null)
    if (signal.aborted) return
    if (next === null) {
      await sleep(AGAIN_MS, undefined, { signal, ref: false }).catch(() => undefined)
      continue
    }
    seen = next.told
    next.events.forEach(onEvent)
  }
}
