/**
 * A line of the shell as words, quoted as in a POSIX shell. Words only: nothing is expanded, and what a shell would do more with is refused, not guessed. Completion needs
 * the place of each word, and a quote that is left open must never end a command early: what the libraries for this do not tell.
 */
import { usageError } from '../exit-codes.js'

export interface Word { readonly text: string, readonly at: number }

export interface Line {
  readonly words: readonly Word[]
  /** The text ends in the last word, not behind it. */
  readonly inWord: boolean
  /** Of a quote that is open at the end, or a backslash. */
  readonly open: string | null
  /** What stands behind the first `|`, for a shell; `null`: nothing does. */
  readonly pipe: string | null
}

/** Of a word that is not quoted. */
const meant: Readonly<Record<string, string>> = { '>': 'end the line with `| tee FILE`', '<': 'name the file', ';': 'write two lines', '&': 'write two lines' }
const ofShells = /[;&<>()`$]/

/** @throws usageError for what a shell would do more with */
export function parseLine (text: string): Line {
  const words: Word[] = []
  let word: { text: string, at: number } | null = null
  let quote: string | null = null
  for (let i = 0; i < text.length; i++) {
    const c = text.charAt(i)
    if (quote === "'" || (quote === '"' && c !== '\\')) {
      if (c === quote) quote = null
      else if (word !== null) word.text += c
      continue
    }
    if (quote === null && /\s/.test(c)) {
      if (word !== null) words.push(word)
      word = null
      continue
    }
    if (quote === null && word === null && c === '#') return { words, inWord: false, open: null, pipe: null }
    if (quote === null && c === '|') return { words: word === null ? words : [...words, word], inWord: false, open: null, pipe: text.slice(i + 1).trim() }
    if (quote === null && ofShells.test(c)) throw usageError('this shell does not do that', c, `quotes around it${meant[c] === undefined ? '' : `, or ${meant[c]}`}`)
    word ??= { text: '', at: i }
    if (c === '\\') {
      const next = text[++i]
      if (next === undefined) return { words: [...words, word], inWord: true, open: '\\', pipe: null }
      word.text += quote === '"' && !'"\\$`'.includes(next) ? `\\${next}` : next
    } else if (c === "'" || c === '"') quote = c
    else word.text += c
  }
  return { words: word === null ? words : [...words, word], inWord: word !== null, open: quote, pipe: null }
}
