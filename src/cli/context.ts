/** What may stand at a place of a command line, made from the verbs themselves: for completion in other shells, and for completion and help in ours. */
import type { Argument, Command, Option } from 'commander'
import type { Kind } from '../client/index.js'

/** Names that a running agent knows; a real is VIP/REAL. */
export type NamedKind = Kind | 'real'

/** Verbs whose next word is an object's name. */
export const namedArguments: Readonly<Record<string, NamedKind>> = {
  'vip list': 'vip', 'vip readback': 'vip', 'vip delete': 'vip', 'target list': 'target', 'target pause': 'target', 'target resume': 'target', 'target disable': 'target', 'target enable': 'target',
  'real put': 'vip', 'real delete': 'vip', 'real weight': 'real', 'real drain': 'real', 'real restore': 'real', 'link list': 'link',
  'cluster history': 'group', 'cluster switchover': 'group', 'cluster hold': 'group', 'cluster release': 'group', 'cluster reset': 'group', 'cluster verify': 'group', rollback: 'generation', compare: 'generation', confirm: 'generation',
  'watch agent': 'agent', 'watch vip': 'vip', 'watch target': 'target', 'watch link': 'link', 'watch generation': 'generation', 'watch group': 'group', 'watch peer': 'peer', 'watch bgp': 'bgp', 'bgp watch': 'bgp'
}
/** Options whose value is one. */
export const namedOptions: Readonly<Record<string, NamedKind>> = { '--vip': 'vip', '--real': 'real', '--rg': 'group', '--group': 'group', '--expect': 'generation', '--to': 'peer' }

export interface Offer { readonly text: string, readonly help: string }

export interface Place {
  readonly command: Command
  /** Words that may stand here. */
  readonly offers: readonly Offer[]
  /** Names of these may, too. */
  readonly kind: NamedKind | null
  /** What is written here by its writer: `<file>`. */
  readonly expects: readonly Offer[]
}

export const isOption = (word: string): boolean => word.startsWith('-') && word !== '-'
export const optionWord = ({ long, short }: Option): string => long ?? short ?? ''
export const takesValue = (option: Option): boolean => option.required || option.optional
const argumentWord = (a: Argument): string => (a.required ? `<${a.name()}${a.variadic ? '...' : ''}>` : `[${a.name()}${a.variadic ? '...' : ''}]`)

/** Behind `words`, where `current` is being written. */
export function placeOf (program: Command, words: readonly string[], current: string): Place {
  let command = program
  let at: string[] = []
  let taken = 0
  let valued: Option | null = null
  for (const word of words) {
    if (valued !== null && !(valued.variadic && isOption(word))) {
      if (!valued.variadic) valued = null
      continue
    }
    valued = null
    if (isOption(word)) {
      const option = command.options.find(o => o.long === word || o.short === word)
      if (option !== undefined && takesValue(option)) valued = option
      continue
    }
    const child = taken === 0 ? command.commands.find(c => c.name() === word) : undefined
    if (child !== undefined) {
      command = child
      at = [...at, word]
    } else if (command.registeredArguments[taken++]?.argChoices?.includes(word) === true) at = [...at, word]
  }
  if (valued !== null && !isOption(current)) {
    const choices = valued.argChoices ?? []
    return { command, offers: choices.map(text => ({ text, help: '' })), kind: namedOptions[optionWord(valued)] ?? null, expects: choices.length > 0 ? [] : [{ text: valued.flags.replace(/^[^<[]*/, ''), help: valued.description }] }
  }
  const options = [...command.options.map(o => ({ text: optionWord(o), help: o.description })), { text: '--help', help: 'what it does, with examples' }]
  if (isOption(current)) return { command, offers: options, kind: null, expects: [] }
  const last = command.registeredArguments.at(-1)
  const argument = command.registeredArguments[taken] ?? (last?.variadic === true ? last : undefined)
  const choices = argument?.argChoices ?? []
  return {
    command,
    offers: [...command.commands.map(c => ({ text: c.name(), help: c.summary() })), ...choices.map(text => ({ text, help: argument?.description ?? '' }))],
    kind: argument === undefined ? null : namedArguments[at.join(' ')] ?? null,
    expects: argument === undefined || choices.length > 0 ? [] : [{ text: argumentWord(argument), help: argument.description }]
  }
}

/** Options of the verb, for whoever asks at a place where one may stand. */
export const optionsOf = (command: Command): Offer[] => command.options.map(o => ({ text: o.flags, help: o.description }))
