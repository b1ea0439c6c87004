/** The cluster between the two threads: the main thread decides and keeps its events, the rpc worker asks for both. */
import type { ClusterControl } from '../contract/cluster.js'
import type { ClusterLog } from '../ha/event-log.js'
import type { Caller } from './bridge.js'
import { remoteEvents } from './event-bridge.js'
import type { MainCalls } from './protocol.js'

type ClusterCalls = Pick<MainCalls, Extract<keyof MainCalls, `cluster${string}`>>

/** Main thread's end. `control` is asked for at each call: it may change with the configuration. */
export function clusterCalls (control: () => ClusterControl, events: ClusterLog): ClusterCalls {
  return {
    clusterStatus: async () => await control().status(),
    clusterSwitchover: async (rgs, to, signal) => await control().switchover(rgs, to, signal),
    clusterHold: async (rgs) => await control().hold(rgs),
    clusterRelease: async (rgs) => await control().release(rgs),
    clusterReset: async (rgs) => await control().reset(rgs),
    clusterRepairs: async () => await control().repairs(),
    clusterResync: async (rgs, signal) => await control().resync(rgs, signal),
    clusterVerify: async (rgs, signal) => await control().verify(rgs, signal),
    clusterEvents: events.after
  }
}

/** The rpc worker's end. */
export function remoteCluster (main: Caller<MainCalls>): ClusterControl {
  return {
    status: async () => await main.call('clusterStatus', []),
    switchover: async (rgs, to, signal) => await main.call('clusterSwitchover', [rgs, to], signal),
    hold: async (rgs) => await main.call('clusterHold', [rgs]),
    release: async (rgs) => await main.call('clusterRelease', [rgs]),
    reset: async (rgs) => await main.call('clusterReset', [rgs]),
    repairs: async () => await main.call('clusterRepairs', []),
    resync: async (rgs, signal) => await main.call('clusterResync', [rgs], signal),
    verify: async (rgs, signal) => await main.call('clusterVerify', [rgs], signal),
    watch: remoteEvents(async (seen, signal) => await main.call('clusterEvents', [seen], signal))
  }
}
