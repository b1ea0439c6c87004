/** Lines of words -> a tree of directives, and the book-keeping that finds what nobody took. Shared by keepalived and conntrackd. */
import { unreadable, type Notes } from './notes.js'
import type { Word } from './words.js'

export interface Directive {
  readonly line: number
  /** Of the closing brace; without a block, `line`. */
  readonly endLine: number
  /** The first word, in the spelling that keywords are compared in. */
  readonly key: string
  readonly words: readonly string[]
  readonly block: readonly Directive[] | null
}

export interface WordLine { readonly line: number, readonly words: readonly Word[] }

const depthMax = 16

interface Open { readonly line: number, readonly words: readonly string[], readonly items: Directive[] }

/** A brace opens the block of the directive before it, on its line or the line above. Throws where braces do not match. */
export function directivesOf (lines: readonly WordLine[], file: string, fold: (word: string) => string): Directive[] {
  const top: Directive[] = []
  const stack: Open[] = []
  const items = (): Directive[] => stack.at(-1)?.items ?? top
  const plain = (line: number, words: readonly string[]): Directive => ({ line, endLine: line, key: fold(words[0] ?? ''), words, block: null })
  for (const { line, words } of lines) {
    let now: string[] = []
    const flush = (): void => {
      if (now.length > 0) items().push(plain(line, now))
      now = []
    }
    for (const { text, quoted } of words) {
      if (quoted || (text !== '{' && text !== '}')) now.push(text)
      else if (text === '{') {
        const before = now.length > 0 ? plain(line, now) : items().at(-1)
        if (before === undefined || before.block !== null) throw unreadable(file, line, 'a block without a name', '{', 'a keyword before it')
        if (now.length === 0) items().pop()
        now = []
        stack.push({ line: before.line, words: before.words, items: [] })
        if (stack.length > depthMax) throw unreadable(file, line, 'blocks are nested too deeply', stack.length, `at most ${depthMax} levels`)
      } else {
        flush()
        const open = stack.pop()
        if (open === undefined) throw unreadable(file, line, 'a block ends that did not begin', '}', 'a { for each }')
        items().push({ line: open.line, endLine: line, key: fold(open.words[0] ?? ''), words: open.words, block: open.items })
      }
    }
    flush()
  }
  const open = stack.at(-1)
  if (open !== undefined) throw unreadable(file, open.line, 'a block does not end', `${open.words.join(' ')} {`, '} before the end of the file')
  return top
}

const secrets = new Set(['auth_pass', 'password'])

/** The words of a directive, without secrets. */
function headOf (d: Directive): string {
  if (secrets.has(d.key)) return `${d.key} (not shown)`
  const text = d.words.map(word => word === '' || /[\s"]/.test(word) ? JSON.stringify(word) : word).join(' ')
  return text.length > 200 ? `${text.slice(0, 197)}...` : text
}

/** With all that is in its block. */
export const textOf = (d: Directive): string => d.block === null ? headOf(d) : `${headOf(d)} {...}${d.endLine > d.line ? ` to line ${d.endLine}` : ''}`

/** The directive is not carried as it stands, nor is anything in its block. */
export const noteOn = (notes: Notes, d: Directive, reason: string): void => { notes.add(d.line, textOf(d), reason) }
/** What is in its block is carried, or noted by itself. */
export const remarkOn = (notes: Notes, d: Directive, reason: string): void => { notes.add(d.line, headOf(d), reason) }

/** The inside of a block. What is taken is carried by who takes it; `rest` lists what is left. */
export class Section {
  private readonly taken = new Set<Directive>()

  constructor (readonly notes: Notes, readonly items: readonly Directive[]) {}

  static of (notes: Notes, d: Directive): Section { return new Section(notes, d.block ?? []) }

  all (...keys: readonly string[]): Directive[] {
    const found = this.items.filter(d => keys.includes(d.key))
    for (const d of found) this.taken.add(d)
    return found
  }

  /** The last one holds, as for the daemons themselves; earlier ones are listed. */
  last (...keys: readonly string[]): Directive | null {
    const found = this.all(...keys)
    for (const d of found.slice(0, -1)) noteOn(this.notes, d, 'given again below: the last one holds')
    return found.at(-1) ?? null
  }

  rest (reasons: ReadonlyMap<string, string>, otherwise = 'not a keyword that this import knows; nothing of it is carried'): void {
    for (const d of this.items) if (!this.taken.has(d)) noteOn(this.notes, d, reasons.get(d.key) ?? otherwise)
  }
}
