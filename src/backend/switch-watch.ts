/** Who forwards changed, or did not: one log line an event, with its name in the field `event`, and a tally for metrics. docs/operations/changes.md has the list. */
import type { SwitchEvent, SwitchTally } from '../contract/services.js'

type Line = (fields: object, text: string) => void
export interface SwitchLog { readonly info: Line, readonly warn: Line, readonly error: Line }

const texts = {
  switch_begin: 'another backend takes over', switch_port: 'a port was handed over', switch_end: 'another backend forwards', switch_refused: 'another backend was refused',
  switch_failed: 'another backend failed to take over: the one before forwards on'
} as const satisfies Record<SwitchEvent['event'], string>

export class SwitchWatch {
  tally: SwitchTally = { done: 0, forced: 0, refused: 0, failed: 0, lastHandOverUs: 0 }

  constructor (private readonly log: SwitchLog) {}

  tell (e: SwitchEvent): void {
    const text = texts[e.event]
    const t = this.tally
    switch (e.event) {
      case 'switch_end':
        this.tally = { ...t, done: t.done + 1, forced: t.forced + (e.lost > 0 ? 1 : 0), lastHandOverUs: e.longestHandOverUs }
        return e.warnings.length + e.lost > 0 ? this.log.warn(e, text) : this.log.info(e, text)
      case 'switch_refused':
        this.tally = { ...t, refused: t.refused + 1 }
        return this.log.warn(e, text)
      case 'switch_failed':
        this.tally = { ...t, failed: t.failed + 1 }
        return this.log.error(e, text)
      default: this.log.info(e, text)
    }
  }
}
