/** What the agents have, as far as this page was told: messages of the stream applied in order. Whoever shows it is called once in a frame, however many came. */
import type { AgentJson, Happening, Kind, ObjectOf, StateJson } from './model.js'

const TAIL_MAX = 2000

export interface AgentView {
  readonly name: string
  connected: boolean
  contactAt: number
  readonly kinds: Map<Kind, Map<string, unknown>>
}

export interface Change { readonly agent: string, readonly kind: Kind, readonly key: string, readonly value?: unknown }

export class LiveStore {
  epoch = ''
  seq = -1
  /** Clock of the gateway less that of this browser. */
  skewMs = 0
  readonly agents = new Map<string, AgentView>()
  /** Oldest first. */
  tail: Happening[] = []
  /** Messages that were missing in the row: each led to a new whole state. */
  gaps = 0
  private readonly readers = new Set<() => void>()
  private readonly witnesses = new Set<(seq: number, where: string) => void>()
  private asked = false
  private seen = new Set<string>()

  /** `soon`: runs it in the next frame. */
  constructor (private readonly soon: (run: () => void) => void) {}

  /** In front of each message with an id. False: one is missing before it. */
  number (epoch: string, seq: number, whole: boolean): boolean {
    const fits = whole || (epoch === this.epoch && seq === this.seq + 1)
    if (!fits) this.gaps++
    else [this.epoch, this.seq] = [epoch, seq]
    return fits
  }

  state ({ agents, at }: StateJson): void {
    this.skewMs = at - Date.now()
    for (const name of this.agents.keys()) if (!Object.hasOwn(agents, name)) this.agents.delete(name)
    for (const [name, agent] of Object.entries(agents)) {
      this.agents.set(name, viewOf(name, agent))
      for (const event of agent.events) this.happened({ agent: name, ...event })
    }
    this.tail.sort((a, b) => a.at - b.at)
    this.touch()
  }

  put ({ agent, kind, key, value }: Change): void {
    this.objects(agent, kind)?.set(key, value)
    this.changed(agent, kind, key)
  }

  delete ({ agent, kind, key }: Change): void {
    this.objects(agent, kind)?.delete(key)
    this.changed(agent, kind, key)
  }

  reached ({ agent, connected, contactAt }: { readonly agent: string, readonly connected: boolean, readonly contactAt: number }): void {
    const view = this.agents.get(agent)
    if (view === undefined) return
    this.agents.set(agent, { ...view, connected, contactAt })
    this.touch()
  }

  happened (event: Happening): void {
    const id = `${event.agent} ${event.id}`
    if (this.seen.has(id)) return
    this.seen.add(id)
    this.tail.push(event)
    if (this.tail.length > TAIL_MAX) {
      this.tail = this.tail.slice(-TAIL_MAX / 2)
      this.seen = new Set(this.tail.map(one => `${one.agent} ${one.id}`))
    }
    this.touch()
  }

  get names (): readonly string[] { return [...this.agents.keys()] }

  one<K extends Kind>(agent: string, kind: K, key: string): ObjectOf<K> | undefined { return this.objects(agent, kind)?.get(key) as ObjectOf<K> | undefined }

  /** Sorted by key, numbers by their value. */
  list<K extends Kind>(agent: string, kind: K): Array<[string, ObjectOf<K>]> {
    return [...this.objects(agent, kind) ?? []].sort(([a], [b]) => compare(a, b)) as Array<[string, ObjectOf<K>]>
  }

  objects (agent: string, kind: Kind): Map<string, unknown> | undefined { return this.agents.get(agent)?.kinds.get(kind) }

  /** What returns ends it. */
  readonly subscribe = (reader: () => void): (() => void) => {
    this.readers.add(reader)
    return () => { this.readers.delete(reader) }
  }

  /** Called with every change of an object. What it returns ends that. */
  readonly witness = (witness: (seq: number, where: string) => void): (() => void) => {
    this.witnesses.add(witness)
    return () => { this.witnesses.delete(witness) }
  }

  readonly touch = (): void => {
    if (this.asked) return
    this.asked = true
    this.soon(() => {
      this.asked = false
      for (const reader of [...this.readers]) reader()
    })
  }

  private changed (agent: string, kind: Kind, key: string): void {
    for (const witness of this.witnesses) witness(this.seq, placeOf(agent, kind, key))
    this.touch()
  }
}

export const placeOf = (agent: string, kind: string, key: string): string => JSON.stringify([agent, kind, key])

const viewOf = (name: string, { connected, contactAt, kinds }: AgentJson): AgentView =>
  ({ name, connected, contactAt, kinds: new Map(Object.entries(kinds).map(([kind, { objects }]) => [kind as Kind, new Map(Object.entries(objects))])) })

const collator = new Intl.Collator('en', { numeric: true })
export const compare = (a: string, b: string): number => collator.compare(a, b)
