/**
 * How fast session changes reach a subscriber, whether each is told or counted as lost, and what subscribers that do not read cost. Changes are sessions that end, a slice of the
 * table at a time; the next slice ends when all but one of those before are told.
 */
import type { AgentConnection } from '../../src/cli/client.js'
import { call, messages } from '../../src/cli/client.js'
import { SessionFilter } from '../../src/generated/proto/lockstep/v1/session.js'

/** Sessions of a /24 in the bench's table: 256 addresses, 16 ports each. A watcher holds 8192 changes for its reader. */
export const SLICE = 4096
const empty = SessionFilter.decode(new Uint8Array())

export interface Told { readonly perS: number, readonly lost: number, /** Neither told nor counted as lost; the bench is wrong, or the agent. */ readonly uncounted: number }

/** Ends the sessions of so many slices, from that one on. `columns`: none is one message for each change, as a person reads them. */
export async function told ({ sessions }: AgentConnection, columns: readonly string[], first: number, slices: number, signal?: AbortSignal): Promise<Told> {
  const over = new AbortController()
  const stream = sessions.watch({ filter: undefined, columns: [...columns], snapshot: false })
  let [ended, received, lost, begun] = [0, 0, 0, false]
  let moved = (): void => undefined
  const reading = (async () => {
    for await (const message of messages(stream, over.signal)) {
      begun = true
      received += message.changes.length + message.kinds.length
      lost += Number(message.lost)
      moved()
    }
  })().catch(() => undefined)
  const until = async (condition: () => boolean): Promise<void> => {
    while (!condition()) {
      signal?.throwIfAborted()
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 1000)
        moved = () => { clearTimeout(timer); resolve() }
      })
    }
  }
  try {
    await until(() => begun)
    const started = performance.now()
    for (let slice = first; slice < first + slices; slice++) {
      const { deleted } = await call(sessions, sessions.delete, { filter: { ...empty, source: `10.${slice >> 8}.${slice & 255}.0/24` }, all: false })
      ended += Number(deleted)
      await until(() => received + lost >= ended - SLICE)
    }
    await until(() => received + lost >= ended)
    const seconds = (performance.now() - started) / 1000
    return { perS: received / seconds, lost, uncounted: ended - received - lost }
  } finally {
    over.abort()
    await reading
  }
}

/** Subscribers that read nothing; what it returns ends them. */
export function deaf ({ sessions }: AgentConnection, n: number): () => void {
  const streams = Array.from({ length: n }, (_, i) => sessions.watch({ filter: undefined, columns: i % 2 === 0 ? [] : ['id'], snapshot: false }).on('error', () => { /* of its end */ }))
  return () => { for (const stream of streams) stream.cancel() }
}
