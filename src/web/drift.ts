/**
 * A net below the stream: now and then the whole state is asked for and compared with what this page shows. What changed meanwhile is left out, and a difference counts
 * only when it is still there a moment later. One that does is a fault of somebody: it is said, and everything is asked for anew.
 */
import type { StateJson } from './model.js'
import { placeOf, type LiveStore } from './store.js'

const EVERY_MS = 30_000
const AGAIN_MS = 1500

/** The stream that the store is fed by. */
export interface Fed { readonly condition: string, readonly afresh: (why: string) => void }

export class DriftCheck {
  checks = 0
  drifts = 0
  /** Of the last drift. */
  found: readonly string[] = []
  at = 0

  /** `ask`: the whole state; `null`: not now. */
  constructor (private readonly store: LiveStore, private readonly stream: Fed, private readonly ask: () => Promise<StateJson | null>, private readonly againMs = AGAIN_MS) {}

  /** `looked`: somebody does. */
  start (looked: () => boolean): void { setInterval(() => { if (this.stream.condition === 'live' && looked()) void this.check().catch(() => undefined) }, EVERY_MS) }

  async check (): Promise<void> {
    let differing = await this.differing()
    if (differing.length > 0) {
      await new Promise((resolve) => { setTimeout(resolve, this.againMs) })
      const before = new Set(differing)
      differing = (await this.differing()).filter(place => before.has(place))
    }
    this.checks++
    if (differing.length === 0) return
    this.drifts++
    this.found = differing
    this.at = Date.now()
    this.stream.afresh('what is shown was not what the gateway has')
  }

  /** Places of objects that are not what the gateway says, and of which nothing was told since. */
  private async differing (): Promise<string[]> {
    const { store } = this
    const changed = new Map<string, number>()
    const end = store.witness((seq, where) => { changed.set(where, seq) })
    try {
      const state = await this.ask()
      if (state === null) return []
      const { epoch, seq, agents } = state
      for (let i = 0; i < 30 && store.seq < seq && store.epoch === epoch; i++) await new Promise((resolve) => { setTimeout(resolve, 100) })
      if (store.epoch !== epoch || this.stream.condition !== 'live') return []
      if (store.seq < seq) return [placeOf('', 'message', String(seq))]
      const places = new Set<string>()
      const compare = (agent: string, kind: string, key: string, here: unknown, there: unknown): void => {
        const place = placeOf(agent, kind, key)
        if ((changed.get(place) ?? -1) <= seq && JSON.stringify(here) !== JSON.stringify(there)) places.add(place)
      }
      for (const [name, { kinds }] of Object.entries(agents)) {
        for (const [kind, { objects }] of Object.entries(kinds)) {
          const here = store.objects(name, kind as never) ?? new Map<string, unknown>()
          for (const key of new Set([...here.keys(), ...Object.keys(objects)])) compare(name, kind, key, here.get(key), Object.hasOwn(objects, key) ? objects[key] : undefined)
        }
      }
      return [...places]
    } finally { end() }
  }
}
