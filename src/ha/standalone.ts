/** A node without a peer: what it answers to whoever asks for its cluster. */
import type { ClusterControl } from '../contract/cluster.js'
import { LockstepError } from '../contract/errors.js'

export const noCluster = (): LockstepError => new LockstepError('unavailable', 'LS_H_STANDALONE', 'this node has no cluster', { next: 'add `cluster` to the configuration' })

const refuse = async (): Promise<never> => await Promise.reject(noCluster())

export const standalone: ClusterControl = {
  status: async () => await Promise.resolve(null),
  switchover: refuse, hold: refuse, release: refuse, reset: refuse, verify: refuse, resync: refuse, repairs: refuse,
  watch: () => { throw noCluster() }
}
