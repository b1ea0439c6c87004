/** Text of others where people read it: control characters and direction marks become visible escapes, so that a comment or a name cannot
 * break a table, move the cursor or hide what it says. */
export function printable (text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, (c) =>
    c === '\n' ? '\\n' : c === '\t' ? '\\t' : `\\u{${(c.codePointAt(0) ?? 0).toString(16)}}`)
}
