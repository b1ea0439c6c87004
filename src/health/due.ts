/** Who is due next: a binary heap by time, so that ten thousand targets need one timer. */
export class DueHeap<T> {
  private readonly heap: Array<{ readonly at: number, readonly item: T }> = []

  get size (): number { return this.heap.length }
  /** When the first one is due. */
  get next (): number | null { return this.heap[0]?.at ?? null }

  push (at: number, item: T): void {
    const { heap } = this
    const entry = { at, item }
    let i = heap.length
    heap.push(entry)
    while (i > 0) {
      const up = (i - 1) >> 1
      const parent = heap[up]
      if (parent === undefined || parent.at <= at) break
      heap[i] = parent
      i = up
    }
    heap[i] = entry
  }

  /** The first one that is due by `now`; `null`: none is. */
  pop (now: number): T | null {
    const { heap } = this
    const first = heap[0]
    if (first === undefined || first.at > now) return null
    const last = heap.pop()
    if (last !== undefined && heap.length > 0) this.sink(last)
    return first.item
  }

  private sink (entry: { readonly at: number, readonly item: T }): void {
    const { heap } = this
    let i = 0
    for (;;) {
      let down = 2 * i + 1
      let child = heap[down]
      const right = heap[down + 1]
      if (child !== undefined && right !== undefined && right.at < child.at) {
        child = right
        down++
      }
      if (child === undefined || child.at >= entry.at) break
      heap[i] = child
      i = down
    }
    heap[i] = entry
  }
}
