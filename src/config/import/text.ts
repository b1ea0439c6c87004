/** Bytes -> lines of text. What is no text, or more of it than a configuration has, is refused. */
import { bytesMax } from '../yaml.js'
import { unreadable } from './notes.js'

export interface SourceLine { readonly line: number, readonly text: string }

export function sourceText (input: string | Uint8Array, file: string): string {
  const bytes = typeof input === 'string' ? Buffer.byteLength(input) : input.byteLength
  if (bytes > bytesMax) throw unreadable(file, null, 'the file is too large', bytes, `at most ${bytesMax} bytes`)
  const text = typeof input === 'string' ? input : new TextDecoder('utf-8').decode(input)
  const odd = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f\ufffd\ud800-\udfff]/u.exec(text)
  if (odd === null) return text.startsWith('\ufeff') ? text.slice(1) : text
  const line = text.slice(0, odd.index).split('\n').length
  throw unreadable(file, line, 'not a text', `U+${(odd[0].codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`, 'UTF-8 text without control characters')
}

export function sourceLines (input: string | Uint8Array, file: string): SourceLine[] {
  return sourceText(input, file).split(/\r?\n/).map((text, i) => ({ line: i + 1, text }))
}
