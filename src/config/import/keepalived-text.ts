/**
 * keepalived.conf as lines of words: comments off, conditional lines decided, parameters filled in (keepalived.conf(5), ADVANCED
 * CONFIGURATION). Included files are not read and sequence blocks not unrolled: both are listed.
 */
import { directivesOf, type Directive, type WordLine } from './blocks.js'
import { unreadable, type Notes } from './notes.js'
import { sourceLines, type SourceLine } from './text.js'
import { withoutComment, wordsOf } from './words.js'

export interface KeepalivedText {
  readonly file: string
  /** keepalived's `--config-id`; `null`: conditional lines are listed, not carried. */
  readonly configId: string | null
}

const charactersMax = 4 * 1024 * 1024
const depthMax = 16

export function readKeepalived (input: string | Uint8Array, options: KeepalivedText, notes: Notes): Directive[] {
  const reader = new Reader(options, notes)
  reader.run(sourceLines(input, options.file), 0)
  return directivesOf(reader.out, options.file, word => word)
}

class Reader {
  readonly out: WordLine[] = []
  private readonly parameters = new Map<string, string>([['_HASH', '#'], ['_BANG', '!']])
  private characters = 0

  constructor (private readonly options: KeepalivedText, private readonly notes: Notes) {}

  run (lines: readonly SourceLine[], depth: number): void {
    for (let i = 0; i < lines.length; i++) {
      const { line, text } = lines[i] ?? { line: 0, text: '' }
      // A parameter of several lines: each but the last ends with a backslash.
      const parts = [withoutComment(text, '#!').trim()]
      if (/^(@\S+\s+)?\$\w+=/.test(parts[0] ?? '')) {
        while (parts.at(-1)?.endsWith('\\') === true && i + 1 < lines.length) {
          parts.push(`${parts.pop()?.slice(0, -1).trim() ?? ''}`, withoutComment(lines[++i]?.text ?? '', '#!').trim())
        }
      }
      const whole = parts.filter((part, n) => n === 0 || part !== '').join('\n')
      if (whole !== '') this.line(line, whole, depth)
    }
  }

  private line (line: number, text: string, depth: number): void {
    this.characters += text.length + 1
    if (depth > depthMax || this.characters > charactersMax) throw unreadable(this.options.file, line, 'parameters fill in to too much', text.slice(0, 60), `at most ${charactersMax} characters, ${depthMax} levels deep`)
    const condition = /^@(\^?)(\S+)\s*([^]*)$/.exec(text)
    if (condition !== null) {
      const [, not = '', id = '', rest = ''] = condition
      if (this.applies(line, text, not === '^', id) && rest !== '') this.line(line, rest, depth + 1)
      return
    }
    const definition = /^\$([A-Za-z_]\w*)=\s*([^]*)$/.exec(text)
    if (definition !== null) {
      this.parameters.set(definition[1] ?? '', definition[2] ?? '')
      return
    }
    if (/^~(SEQx?|LST)\(/.test(text)) {
      this.notes.add(line, text, 'sequence and list blocks are not unrolled: write the lines out, then import again')
      return
    }
    if (/^include[a-z]?\s/.test(text)) {
      this.notes.add(line, text, 'other files are not read: put their text in its place, or import them by themselves')
      return
    }
    const filled = this.fill(text)
    if (filled === text) {
      this.words(line, text)
      return
    }
    if (filled.includes('\n') || /^(@|~|\$\w+=)/.test(filled)) {
      this.run(filled.split('\n').map(part => ({ line, text: part })), depth + 1)
      return
    }
    this.line(line, filled, depth + 1)
  }

  private applies (line: number, text: string, not: boolean, id: string): boolean {
    const { configId } = this.options
    if (configId !== null && (id === configId) !== not) return true
    const shown = text.split('\n')[0] ?? ''
    this.notes.add(line, shown, configId === null ? 'a conditional line, and no --config-id says whether it holds: not carried' : `not for config-id ${configId}`)
    return false
  }

  /** One round. Names that are not defined stay, as keepalived leaves them. */
  private fill (text: string): string {
    return text.replace(/\$\{(\w+)\}|\$(\w+)(?=\s|$)/g, (whole, braced: string | undefined, bare: string | undefined) => this.parameters.get(braced ?? bare ?? '') ?? whole)
  }

  private words (line: number, text: string): void {
    const { words, open } = wordsOf(text)
    if (open) this.notes.add(line, text, 'a quote does not end on its line; the rest of the line is taken as quoted')
    const unknown = /\$\{\w+\}/.exec(text)
    if (unknown !== null) this.notes.add(line, text, `${unknown[0]} has no value here: put it in by hand`)
    if (words.length > 0) this.out.push({ line, words })
  }
}
