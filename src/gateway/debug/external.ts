/**
 * Links out of the pages, as whoever started the gateway allowed them: `--debug-link [TABLE/]NAME=https://host/path?x={column}`. The scheme and host stand in the
 * template and nothing of a row gets into them; what gets into the rest is encoded.
 */
import { LockstepError } from '../../contract/errors.js'
import type { External } from './model.js'

export interface Template {
  /** '' = of every table that has what it asks for. */
  readonly table: string
  readonly name: string
  readonly text: string
  readonly host: string
}

const placeholder = /\{([a-z][a-z0-9-]*)\}/g

/** @throws invalid LS_G_LINK */
export function parseTemplate (option: string): Template {
  const refused = (expected: string): LockstepError => new LockstepError('invalid', 'LS_G_LINK', 'not a link of the debug pages', { object: '--debug-link', found: option.slice(0, 200), expected, next: 'for example vips/graphs=https://graphs.example/vip?name={name}' })
  const [, table = '', name, text] = /^(?:([a-z][a-z0-9-]*)\/)?([\w. -]{1,40})=(.{1,2000})$/.exec(option) ?? []
  if (name === undefined || text === undefined) throw refused('[TABLE/]NAME=URL')
  const [, authority = ''] = /^https?:\/\/([^/?#\\]*)/.exec(text) ?? []
  const url = parse(text.replace(placeholder, 'x'))
  if (authority === '' || /[{}@]/.test(authority) || url === null) throw refused('a URL of http or https whose host has no {placeholder} and no password')
  if (/[{}]/.test(text.replace(placeholder, ''))) throw refused('placeholders {agent}, {table}, {key} or {a-column}')
  return { table, name, text, host: url.host }
}

function parse (text: string): URL | null {
  try {
    return new URL(text)
  } catch {
    return null
  }
}

/** Those whose placeholders the row fills. */
export function externalsOf (templates: readonly Template[], table: string, values: ReadonlyMap<string, string>): External[] {
  return templates.flatMap(({ table: of, name, text, host }) => {
    if (of !== '' && of !== table) return []
    let whole = true
    const filled = text.replace(placeholder, (_all, word: string) => {
      const value = values.get(word) ?? ''
      if (value === '' || value === '.' || value === '..') whole = false
      return encodeURIComponent(value)
    })
    return whole && parse(filled)?.host === host ? [{ name, url: filled }] : []
  })
}
