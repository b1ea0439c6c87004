/** Ids of events for readers that come back: `epoch-number`. Numbers mean something in one epoch only. */

export const eventId = (epoch: string, seq: number): string => `${epoch}-${seq}`

/** Of an id of this epoch; `null`: of no such. */
export function eventSeq (id: string, epoch: string): number | null {
  const [, seq] = id.startsWith(`${epoch}-`) ? /^(\d{1,15})$/.exec(id.slice(epoch.length + 1)) ?? [] : []
  return seq === undefined ? null : Number(seq)
}
