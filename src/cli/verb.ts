/** How every verb is made: the options all have, examples in its help, and its exit code handed to the caller. */
import { Option, type Command } from 'commander'
import { toJson } from '../lib/json.js'
import { Detached } from './agent-link.js'
import { exitCode } from './exit-codes.js'
import type { CliIo } from './io.js'

export interface CommonOptions {
  readonly socket?: string
  readonly json?: boolean
}

/** `jsonl`: an object a line, for what is read as it comes. */
const formats = ['table', 'json', 'jsonl'] as const
export type Format = typeof formats[number]

export interface ListOptions extends CommonOptions { readonly output?: Format }

export interface VerbSpec {
  /** Name and arguments as commander writes them: `apply <file>`. */
  readonly usage: string
  readonly summary: string
  /** Longer text under the summary. */
  readonly about?: string
  /** Command lines without the program's name. */
  readonly examples: readonly string[]
  /** Why it cannot run inside `lockstep shell`. */
  readonly alone?: string
}

const alone = new WeakMap<Command, string>()
/** `null`: it runs inside the shell as well as outside. */
export const whyAlone = (command: Command): string | null => alone.get(command) ?? null

/** Where a verb leaves its exit code. */
export interface Outcome { code: number }

export interface Cli {
  readonly io: CliIo
  readonly outcome: Outcome
}

/** A verb that asks the agent: has --socket and --json. */
export function onlineVerb (parent: Command, spec: VerbSpec): Command {
  return offlineVerb(parent, spec)
    .option('--socket <path>', 'socket of the agent (default: LOCKSTEP_SOCKET, else the user\'s own, else the system\'s)')
    .option('--json', 'print JSON for programs')
}

/** One that lists: --output as well. */
export function listVerb (parent: Command, spec: VerbSpec): Command {
  return onlineVerb(parent, spec).addOption(new Option('--output <format>', 'a table, JSON (as --json), or an object a line').choices(formats).conflicts('json'))
}

/** One that goes on until it is ended: what it prints for programs is always an object a line. */
export function addStreamOutput (command: Command): Command {
  return command.addOption(new Option('--output <format>', 'lines for people, or an object a line (as --json)').choices(['table', 'jsonl']).conflicts('json'))
    .hook('preAction', (verb) => { if (verb.getOptionValue('output') === 'jsonl') verb.setOptionValue('json', true) })
}

export const formatOf = ({ json, output }: ListOptions): Format => json === true ? 'json' : output ?? 'table'
export const jsonLines = (rows: readonly unknown[]): string => rows.map(row => `${toJson(row)}\n`).join('')

/** `plain`: the rows as programs have them; `whole`: what --json prints when that is more than the rows. */
export async function printList (io: CliIo, options: ListOptions, plain: readonly unknown[], text: () => string, whole: unknown = plain): Promise<void> {
  const format = formatOf(options)
  await io.out(format === 'table' ? text() : format === 'jsonl' ? jsonLines(plain) : `${toJson(whole, 2)}\n`)
}

export function offlineVerb (parent: Command, spec: VerbSpec): Command {
  const command = parent.command(spec.usage).summary(spec.summary).description(spec.about === undefined ? `${spec.summary}.` : `${spec.summary}.\n\n${spec.about}`)
  if (spec.alone !== undefined) alone.set(command, spec.alone)
  command.addHelpText('after', `\nExamples:\n${spec.examples.map((e) => `  lockstep ${e}`).join('\n')}`)
  return command
}

/** Wraps a verb's work: what it returns is the exit code, nothing means 0. What goes on by itself (--detach) is named. */
export function action<Args extends unknown[]> (cli: Cli, work: (...args: Args) => Promise<number | undefined>): (...args: Args) => Promise<void> {
  return async (...args) => {
    try {
      cli.outcome.code = await work(...args) ?? exitCode.ok
    } catch (error) {
      if (!(error instanceof Detached)) throw error
      const { operation } = error
      const json = args.some(arg => typeof arg === 'object' && arg !== null && 'json' in arg && arg.json === true)
      await cli.io.out(json ? `${toJson({ operation })}\n` : `${operation}\n`)
      cli.io.err(`it goes on: lockstep operation wait ${operation}\n`)
    }
  }
}
