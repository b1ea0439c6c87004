/** Server-sent events out of text as it comes (WHATWG HTML, section 9.2), but for what our gateway does not send: events without a name. Pure. */

export interface SentEvent { readonly id: string, readonly event: string, readonly data: string }

export class SseParser {
  /** Of the line under way. A state of a thousand VIPs is one line of megabytes: its parts are put together once. */
  private parts: string[] = []
  /** The last line ended with CR: a LF that comes next belongs to it. */
  private half = false
  private id = ''
  private event = ''
  private data: string[] = []

  /** Whole events in `text` and what was left of before. A byte order mark is the decoder's. */
  feed (text: string): SentEvent[] {
    if (text === '') return []
    const events: SentEvent[] = []
    const ends = /\r\n?|\n/g
    let from = this.half && text.startsWith('\n') ? 1 : 0
    ends.lastIndex = from
    for (let end = ends.exec(text); end !== null; end = ends.exec(text)) {
      const line = this.parts.join('') + text.slice(from, end.index)
      this.parts = []
      from = ends.lastIndex
      if (line !== '') this.take(line)
      else if (this.event !== '') events.push({ id: this.id, event: this.event, data: this.data.join('\n') })
      if (line === '') [this.id, this.event, this.data] = ['', '', []]
    }
    this.half = from === text.length && text.endsWith('\r')
    if (from < text.length) this.parts.push(text.slice(from))
    return events
  }

  private take (line: string): void {
    const colon = line.indexOf(':')
    const name = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1)
    if (name === 'id') this.id = value
    else if (name === 'event') this.event = value
    else if (name === 'data') this.data.push(value)
  }
}
