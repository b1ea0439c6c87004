/** A fact, or why it could not be had: a check never guesses about what nobody saw. */
import { causeOf } from '../../lib/cause-of.js'
export type Seen<T> = Known<T> | Unseen

export interface Known<T> {
  readonly value: T
  /** Where it was read: a file or a command line. */
  readonly source: string
}

export interface Unseen {
  /** Why, one clause: `bpftool is not installed`. */
  readonly unseen: string
  /** Command that would let us see; empty: there is none. */
  readonly command: string
  readonly source: string
}

export const known = <T>(value: T, source: string): Known<T> => ({ value, source })
export const unseen = (why: string, source: string, command = ''): Unseen => ({ unseen: why, source, command })
export const isUnseen = (o: object): o is Unseen => 'unseen' in o

/** The value in another form. */
export function mapSeen<A, B> (seen: Seen<A>, to: (value: A) => B): Seen<B> {
  return isUnseen(seen) ? seen : known(to(seen.value), seen.source)
}

/** Reads text that a tool or the kernel wrote; text of another form than expected is "unseen", not a crash. */
export function readSeen<A, B> (seen: Seen<A>, read: (value: A) => B): Seen<B> {
  try {
    return mapSeen(seen, read)
  } catch (error) {
    return unseen(`its answer is not understood: ${causeOf(error)}`, seen.source)
  }
}
