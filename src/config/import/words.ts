/** One line of a block syntax -> its words. Quotes and comments as keepalived.conf(5) has them; conntrackd's are a part of that. */
export interface Word { readonly text: string, readonly quoted: boolean }

const escapes: Readonly<Record<string, string>> = { a: '\u0007', b: '\b', E: '\u001b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' }

/** Without what follows the first comment character outside quotes. */
export function withoutComment (line: string, marks: string): string {
  let quote = ''
  for (let i = 0; i < line.length; i++) {
    const c = line[i] ?? ''
    if (quote !== '' && c === '\\') i++
    else if (quote !== '') quote = c === quote ? '' : quote
    else if (c === '"' || c === "'") quote = c
    else if (marks.includes(c)) return line.slice(0, i)
  }
  return line
}

/** `open`: a quote that does not end on its line; the rest of the line is its word. */
export function wordsOf (line: string): { readonly words: readonly Word[], readonly open: boolean } {
  const words: Word[] = []
  let text = ''
  let begun = false
  let quoted = false
  let quote = ''
  const end = (): void => {
    if (begun) words.push({ text, quoted })
    text = ''
    begun = quoted = false
  }
  for (let i = 0; i < line.length; i++) {
    const c = line[i] ?? ''
    if (quote === '' && /\s/.test(c)) end()
    else if (quote === '' && (c === '"' || c === "'")) {
      quote = c
      begun = quoted = true
    } else if (c === quote) quote = ''
    else if (quote !== '' && c === '\\' && i + 1 < line.length) {
      const [whole, value] = escape(line.slice(i + 1, i + 8))
      text += value
      i += whole
    } else {
      text += c
      begun = true
    }
  }
  const open = quote !== ''
  end()
  return { words: words.flatMap(split), open }
}

/** Length and meaning of what follows a backslash. */
function escape (rest: string): readonly [number, string] {
  const octal = /^[0-7]{1,3}/.exec(rest)
  if (octal !== null) return [octal[0].length, String.fromCharCode(parseInt(octal[0], 8))]
  const hex = /^x([0-9a-fA-F]{1,4})/.exec(rest)
  if (hex !== null) return [hex[0].length, String.fromCharCode(parseInt(hex[1] ?? '', 16))]
  const first = rest[0] ?? ''
  return [1, Object.hasOwn(escapes, first) ? escapes[first] ?? first : first]
}

/** Braces stand for themselves at the ends of a word: `80{`, `}`, `{path`. Parameters `${NAME}` keep theirs. */
function split (word: Word): Word[] {
  if (word.quoted || word.text === '{' || word.text === '}' || word.text.includes('${')) return [word]
  const { text } = word
  const brace = (i: number): boolean => text[i] === '{' || text[i] === '}'
  let [from, to] = [0, text.length]
  while (from < to && brace(from)) from++
  while (to > from && brace(to - 1)) to--
  if (to - from === text.length) return [word]
  return [...text.slice(0, from), ...(from === to ? [] : [text.slice(from, to)]), ...text.slice(to)].map(part => ({ text: part, quoted: false }))
}
