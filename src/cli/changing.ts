/** Verbs that change something: how the change is to be made, as options and as the field of its request. */
import type { Command } from 'commander'
import type { Mutation } from '../generated/proto/lockstep/v1/mutation.js'
import { parseCount } from './format.js'
import type { CliIo } from './io.js'
import { onlineVerb, type CommonOptions, type VerbSpec } from './verb.js'

export interface ChangeOptions extends CommonOptions { readonly dryRun?: boolean, readonly expect?: number, readonly requestId?: string, readonly detach?: boolean }

/** As Config.Apply has them, too. */
export const addChangeOptions = (command: Command): Command => command
  .option('--expect <generation>', 'refuse when another generation runs', parseCount)
  .option('--dry-run', 'show what would be done, or why it is refused; change nothing')
  .option('--request-id <id>', 'same id within ten minutes: the first result again')
  .option('--detach', 'do not wait: print the id of the operation, which goes on (`operation get ID`)')

export const changeVerb = (parent: Command, spec: VerbSpec): Command => addChangeOptions(onlineVerb(parent, spec))

/** Says of a trial that it is one: what is printed then is what would be. */
export function mutationOf ({ err }: Pick<CliIo, 'err'>, { dryRun = false, expect, requestId = '', detach = false }: ChangeOptions): { readonly mutation: Mutation } {
  if (dryRun) err('dry run: nothing is changed; it would be\n')
  return { mutation: { dryRun, requestId, detached: detach, ...expect === undefined ? {} : { expectedGeneration: BigInt(expect) } } }
}
