/** A command line of a configuration -> program and arguments. */
import { noteOn, type Directive } from './blocks.js'
import type { Notes } from './notes.js'

/** Blanks part arguments, single quotes keep them together. What needs a shell, or a search in PATH, gets `/bin/sh -c` and a note. */
export function commandOf (notes: Notes, d: Directive, text: string): string[] | null {
  const line = text.trim()
  if (line === '') return null
  notes.add(null, 'programs', 'programs of checks and monitors run as nobody, their output is dropped: see that they need no more')
  const words = [...line.matchAll(/(?:[^\s']|'[^']*')+/g)].map(([word]) => word.replaceAll("'", ''))
  const [program = ''] = words
  if (program.startsWith('/') && !/[<>|;&$`*?()\\"]/.test(line) && words.length <= 64) return words
  noteOn(notes, d, 'not an absolute path and its arguments alone: run by /bin/sh; better name a program with its full path')
  return ['/bin/sh', '-c', line]
}
