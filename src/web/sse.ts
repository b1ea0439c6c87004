/** Server-sent events out of text as it comes (WHATWG HTML, section 9.2), as far as our gateway writes them: blocks of `id`, `event` and one `data`. Pure. */

export interface SentEvent { readonly id: string, readonly event: string, readonly data: string }

export class SseParser {
  private rest = ''
  private searched = 0

  /** Whole events in `text` and what was left of before. */
  feed (text: string): SentEvent[] {
    this.rest += text
    const events: SentEvent[] = []
    let from = 0
    for (let end = this.rest.indexOf('\n\n', this.searched); end >= 0; end = this.rest.indexOf('\n\n', from)) {
      const event = eventOf(this.rest.slice(from, end))
      if (event !== null) events.push(event)
      from = end + 2
    }
    this.rest = this.rest.slice(from)
    this.searched = Math.max(0, this.rest.length - 1)
    return events
  }
}

/** `null`: a comment, or settings. */
function eventOf (block: string): SentEvent | null {
  const fields: Record<'id' | 'event' | 'data', string> = { id: '', event: '', data: '' }
  for (const line of block.split('\n')) {
    const [, name, value = ''] = /^(id|event|data): ?(.*)$/s.exec(line) ?? []
    if (name === 'id' || name === 'event' || name === 'data') fields[name] = value
  }
  return fields.event === '' ? null : fields
}
