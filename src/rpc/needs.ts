/** What every service of the server is given beside what it serves. */
import type { OnBug } from './handler.js'
import type { Mutations } from './mutation.js'
import type { Subscribers } from './subscribers.js'

export interface ServiceNeeds {
  readonly onBug: OnBug
  readonly mutations: Mutations
  /** Of the service's watch: events or changes that a watcher did not get. */
  readonly onLost: (n: number) => void
  readonly subscribers: Subscribers
}
