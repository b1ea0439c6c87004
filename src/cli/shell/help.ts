/** What `?` answers at a place of a line: what may stand there and what it means. */
import { optionsOf, placeOf, type Offer } from '../context.js'
import { namesOf } from '../verbs/completion.js'
import type { Command } from 'commander'
import type { CliIo } from '../io.js'
import { whyAlone } from '../verb.js'
import type { Line } from './words.js'

/** Names shown of one kind. */
const NAMES_MAX = 100

interface Written { readonly before: readonly string[], readonly current: string }

/** What stands before the place, and what is written of the word at it. */
export function written ({ words, inWord }: Line): Written {
  const all = words.map(word => word.text)
  return inWord ? { before: all.slice(0, -1), current: all.at(-1) ?? '' } : { before: all, current: '' }
}

const own: readonly Offer[] = [{ text: 'exit', help: 'leave the shell, as Ctrl-D' }]

/** Verbs of the shell, which are those of the program less those that need a process of their own, and those of its own. */
const offersAt = (program: Command, { before, current }: Written): ReturnType<typeof placeOf> => {
  const place = placeOf(program, before, current)
  const here = place.offers.filter(({ text }) => !place.command.commands.some(c => c.name() === text && whyAlone(c) !== null))
  return { ...place, offers: [...here, ...place.command === program && !current.startsWith('-') ? own : []] }
}

/** Words that go on from what is written. */
export async function completions (program: Command, line: Line, io: CliIo): Promise<{ readonly hits: string[], readonly current: string }> {
  const at = written(line)
  if (line.pipe !== null || line.open !== null) return { hits: [], current: at.current }
  const { offers, kind } = offersAt(program, at)
  const names = kind === null ? [] : await namesOf(io, kind, {})
  return { hits: [...offers.map(offer => offer.text), ...names].filter(text => text.startsWith(at.current)), current: at.current }
}

export async function helpAt (program: Command, line: Line, io: CliIo): Promise<string> {
  const at = written(line)
  const { command, offers, kind, expects } = offersAt(program, at)
  const names = kind === null ? [] : (await namesOf(io, kind, {})).filter(name => name.startsWith(at.current))
  const rows = [
    ...offers.filter(({ text }) => text.startsWith(at.current)), ...expects,
    ...names.slice(0, NAMES_MAX).map(text => ({ text, help: kind ?? '' })), ...names.length > NAMES_MAX ? [{ text: '...', help: `${names.length - NAMES_MAX} more` }] : [],
    ...at.current === '' && command.commands.length === 0 && command !== program ? optionsOf(command) : []
  ]
  if (rows.length === 0) return at.current === '' ? 'nothing more; Enter runs it\n' : `nothing begins with ${at.current}\n`
  const width = Math.min(32, rows.reduce((most, { text }) => Math.max(most, text.length), 0))
  const room = io.width === null ? Infinity : Math.max(20, io.width - width - 4)
  return rows.map(({ text, help }) => `  ${text.padEnd(width)}  ${help.length > room ? `${help.slice(0, room - 1)}…` : help}`.trimEnd() + '\n').join('')
}
