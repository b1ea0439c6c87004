/** What the tests of the imports share: fixtures, broken texts, and the search for what is silently lost. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { LockstepError } from '../../../src/contract/errors.js'
import { importConfig, type ImportFormat, type Imported, type ImportNote } from '../../../src/config/import/index.js'
import { formatIssue } from '../../../src/config/issues.js'
import { parseConfig } from '../../../src/config/parse.js'
import { options, root } from './support.js'

export const sourceOf = (name: string): string => readFileSync(join(root, 'test/fixtures/import', name), 'utf8')

/** What our own parser says about an import, for the node that it is of. */
export const issuesOf = (yaml: string, node?: string): string[] => parseConfig(yaml, { ...options, ...(node === undefined ? {} : { node }) }).issues.map(formatIssue)

export const placed = ({ notes }: Imported): Array<[number | null, string]> => notes.map(({ line, text }) => [line, text])

/** Texts cut, with lines in another order, and with odd characters. */
export function * brokenTexts (text: string, seed: number, count: number): Generator<string> {
  let state = seed
  const random = (below: number): number => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) % Math.max(below, 1)
  for (let n = 0; n < count; n++) {
    const cut = text.slice(0, random(text.length))
    if (n % 3 === 0) yield cut
    else if (n % 3 === 1) {
      const lines = text.split('\n')
      for (let i = 0; i < 4; i++) lines.splice(random(lines.length), 1, ...lines.splice(random(lines.length), 1))
      yield lines.join('\n')
    } else yield `${cut}${['{', '}', '[', '"', "'", '\\', '!', '#', '$A=${A}${A}', '\u0001', ':', '@', '~SEQ(', '-1', '\ufffd'][random(15)] ?? ''}${text.slice(random(text.length))}`
  }
}

/** The first text that throws anything but our own error, or gives YAML that cannot be read; `null`: none. */
export function faultOf (format: ImportFormat, texts: Iterable<string>): string | null {
  for (const text of texts) {
    try {
      const { yaml } = importConfig(format, text, { configId: 'main' })
      const unread = parseConfig(yaml, options).issues.find(issue => ['LS_C_SYNTAX', 'LS_C_ENCODING', 'LS_C_DUPLICATE_KEY', 'LS_C_UNKNOWN_KEY', 'LS_C_TYPE'].includes(issue.code))
      if (unread !== undefined) return `${formatIssue(unread)}\n${text}\n---\n${yaml}`
    } catch (error) {
      if (!(error instanceof LockstepError) || error.code !== 'LS_C_IMPORT') return `${error instanceof Error ? error.stack ?? '' : String(error)}\n${text}`
    }
  }
  return null
}

/** A note is on the line, or on a whole block that the line is in. */
function covers ({ line, text }: ImportNote, at: number): boolean {
  const end = Number(/\{\.\.\.\} to line (\d+)$/.exec(text)?.[1] ?? 0)
  return line !== null && (line === at || (line <= at && at <= end))
}

/** Lines that open no block and whose absence changes nothing: neither the YAML nor the notes. */
export function silentLines (format: ImportFormat, text: string): string[] {
  const of = (source: string): Imported => importConfig(format, source, { configId: 'main' })
  const whole = of(text)
  const same = JSON.stringify(whole)
  const lines = text.split('\n')
  return lines.flatMap((line, i) => {
    const code = line.replace(/[#!].*$/, '').trim()
    if (whole.notes.some(note => covers(note, i + 1))) return []
    if (code === '' || /[{}]$/.test(code) || code.endsWith('\\')) return []
    try {
      return JSON.stringify(of([...lines.slice(0, i), '', ...lines.slice(i + 1)].join('\n'))) === same ? [code] : []
    } catch {
      return []
    }
  })
}

/** Blocks in which an unknown line is not listed, by the line that opens them. A note on the whole block lists what is in it. */
export function deafBlocks (format: ImportFormat, text: string): string[] {
  const lines = text.split('\n')
  return lines.flatMap((line, i) => {
    if (!/\{\s*(#.*)?$/.test(line)) return []
    const { notes, yaml } = importConfig(format, [...lines.slice(0, i + 1), 'zz_odd 1', ...lines.slice(i + 1)].join('\n'), { configId: 'main' })
    return yaml.includes('zz_odd') || notes.some(note => covers(note, i + 2)) ? [] : [`${i + 1}: ${line.trim()}`]
  })
}
