/**
 * The configuration of another program as one of ours: text -> YAML, and a note for everything that is not carried as it stands. Pure: other files that
 * the text names are not read. Throws LS_C_IMPORT, and nothing else, for a text that cannot be read at all.
 */
import { importConntrackd } from './conntrackd.js'
import { importKeepalived } from './keepalived.js'
import { importMaglev } from './maglev.js'
import { Notes, type ImportNote } from './notes.js'
import type { Source } from './source.js'
import { writeYaml, type Draft } from './write.js'

export type { ImportNote } from './notes.js'

const formats = {
  maglev: { read: importMaglev, of: 'vpp-maglev' },
  keepalived: { read: importKeepalived, of: 'keepalived' },
  conntrackd: { read: importConntrackd, of: 'conntrackd' },
} as const satisfies Record<string, { readonly read: (input: string | Uint8Array, source: Source, notes: Notes) => Draft, readonly of: string }>

export type ImportFormat = keyof typeof formats
export const importFormats = Object.keys(formats) as ImportFormat[]

export interface Imported { readonly yaml: string, readonly notes: readonly ImportNote[] }

export function importConfig (format: ImportFormat, input: string | Uint8Array, source: Partial<Source> = {}): Imported {
  const notes = new Notes()
  const { read, of } = formats[format]
  const draft = read(input, { file: source.file ?? 'stdin', node: source.node ?? null, peer: source.peer ?? null, configId: source.configId ?? null }, notes)
  const list = notes.list()
  const yaml = writeYaml(draft, [`From the configuration of ${of}, by lockstep import ${format}.`, `What has no equivalent stands in its ${list.length} ${list.length === 1 ? 'note' : 'notes'}; lockstep check says what is missing.`])
  return { yaml, notes: list }
}
