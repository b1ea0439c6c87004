/** apply, confirm, compare, history, rollback, save, show: the configuration. */
import { randomUUID } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { userInfo } from 'node:os'
import type { Command } from 'commander'
import { LockstepError } from '../../contract/errors.js'
import { ConfigText, type ConfigApplyResponse, type ConfigRollbackResponse, type Generation } from '../../generated/proto/lockstep/v1/config.js'
import { addChangeOptions, changeVerb, mutationOf, type ChangeOptions } from '../changing.js'
import { call } from '../client.js'
import { selfName, withAgent } from '../agent-link.js'
import { exitCode, usageError } from '../exit-codes.js'
import { duration, parseCount, parseDuration, parseSmall, printable, time } from '../format.js'
import type { CliIo } from '../io.js'
import { toJson } from '../../lib/json.js'
import { table } from '../table.js'
import { action, listVerb, onlineVerb, printList, type Cli, type CommonOptions, type ListOptions } from '../verb.js'
import { wholeList } from '../whole-list.js'
import { generationColumns, generationJson, generationLine, planJson, planText } from './generations.js'

interface ApplyOptions extends CommonOptions {
  readonly comment?: string
  readonly author?: string
  readonly confirm?: number
  readonly expect?: number
  readonly dryRun?: boolean
  readonly requestId?: string
  readonly detach?: boolean
}

/** An apply compiles, writes and waits for graces: more than the usual deadline. */
const APPLY_DEADLINE_MS = 120_000

export function addConfig (parent: Command, cli: Cli): void {
  applyOptions(onlineVerb(parent, {
    usage: 'apply <file>',
    summary: 'Put a configuration in force, all or nothing',
    about: 'FILE is YAML; - reads standard input. On any error the configuration that runs stays. With --confirm it rolls back by itself unless `lockstep confirm` follows in time.',
    examples: ['apply edge.yaml --comment "new VIP for mail"', 'apply edge.yaml --confirm 5m && lockstep confirm', 'apply edge.yaml --dry-run', 'apply - --expect 12 < edge.yaml']
  })).action(action(cli, async (file: string, options: ApplyOptions) => {
    const text = await readConfig(cli.io, file)
    return await withAgent(cli.io, options, async ({ config }) =>
      await applied(cli.io, options, await call(config, config.apply, { text, ...applyFields(options) }, { deadlineMs: APPLY_DEADLINE_MS, signal: cli.io.signal })))
  }))

  applyOptions(onlineVerb(parent, {
    usage: 'rollback <generation>',
    summary: 'Apply an earlier generation again, as a new one',
    examples: ['rollback 11 --comment "mail broke"', 'rollback 11 --dry-run']
  })).action(action(cli, async (generation: string, options: ApplyOptions) => {
    const number = parseCount(generation)
    return await withAgent(cli.io, options, async ({ config }) =>
      await applied(cli.io, options, await call(config, config.rollback, { generation: BigInt(number), ...applyFields(options) }, { deadlineMs: APPLY_DEADLINE_MS, signal: cli.io.signal })))
  }))

  changeVerb(parent, { usage: 'confirm [generation]', summary: 'Keep the generation that waits for its confirmation', examples: ['confirm', 'confirm 13'] })
    .action(action(cli, async (generation: string | undefined, options: ChangeOptions) => {
      const number = generation === undefined ? 0 : parseCount(generation)
      const { generation: kept } = await withAgent(cli.io, options, async ({ config }) => await call(config, config.confirm, { generation: BigInt(number), ...mutationOf(cli.io, options) }))
      await oneGeneration(cli.io, options, 'confirmed', kept)
      return exitCode.ok
    }))

  changeVerb(parent, { usage: 'save', summary: 'Make what runs what is started with', examples: ['save'] })
    .action(action(cli, async (options: ChangeOptions) => {
      const { generation } = await withAgent(cli.io, options, async ({ config }) => await call(config, config.save, mutationOf(cli.io, options)))
      await oneGeneration(cli.io, options, 'saved', generation)
      return exitCode.ok
    }))

  listVerb(parent, { usage: 'history', summary: 'List generations, newest first', examples: ['history', 'history --limit 5 --json'] })
    .option('--limit <n>', 'at most this many', parseSmall, 0)
    .action(action(cli, async (options: ListOptions & { readonly limit: number }) => {
      const { generations } = await withAgent(cli.io, options, async ({ config }) => await wholeList('generations', async listing => await call(config, config.history, { limit: options.limit, listing })))
      await printList(cli.io, options, generations.map(generationJson), () => generations.length === 0 ? 'no generation yet\n' : table<Generation>(generationColumns, generations, cli.io))
      return exitCode.ok
    }))

  listVerb(parent, {
    usage: 'compare [from] [to]',
    summary: 'Show what changed from one generation to another',
    about: 'Without numbers: from the generation before to the one that runs.',
    examples: ['compare', 'compare 11', 'compare 11 13 --json']
  }).action(action(cli, async (from: string | undefined, to: string | undefined, options: ListOptions) => {
    const request = { fromGeneration: BigInt(from === undefined ? 0 : parseCount(from)), toGeneration: BigInt(to === undefined ? 0 : parseCount(to)) }
    const { plan } = await withAgent(cli.io, options, async ({ config }) => await call(config, config.compare, request))
    await printList(cli.io, options, planJson(plan), () => planText(plan, cli.io))
    return exitCode.ok
  }))

  onlineVerb(parent, { usage: 'show [which]', summary: 'Print the configuration that runs, or is started with', examples: ['show > edge.yaml', 'show startup'] })
    .action(action(cli, async (which: string | undefined, options: CommonOptions) => {
      const wanted = { running: ConfigText.CONFIG_TEXT_RUNNING, startup: ConfigText.CONFIG_TEXT_STARTUP }[which ?? 'running']
      if (wanted === undefined) throw usageError('which configuration?', which ?? '', 'running or startup')
      const { text } = await withAgent(cli.io, options, async ({ config }) => await call(config, config.getText, { which: wanted }))
      await cli.io.out(options.json === true ? `${toJson({ text })}\n` : text.endsWith('\n') ? text : `${text}\n`)
      return exitCode.ok
    }))
}

function applyOptions (command: Command): Command {
  return addChangeOptions(command)
    .option('--comment <text>', 'why, kept in the history')
    .option('--author <name>', 'who (default: the user that runs this)')
    .option('--confirm <duration>', 'roll back unless confirmed within this time, for example 5m', parseDuration)
}

function applyFields (o: ApplyOptions): { author: string, comment: string, expectedGeneration: bigint | undefined, requestId: string, dryRun: boolean, detached: boolean, confirmWithinMs: bigint | undefined } {
  return {
    author: o.author ?? userName(),
    comment: o.comment ?? '',
    expectedGeneration: o.expect === undefined ? undefined : BigInt(o.expect),
    requestId: o.requestId ?? randomUUID(),
    detached: o.detach ?? false,
    dryRun: o.dryRun === true,
    confirmWithinMs: o.confirm === undefined ? undefined : BigInt(o.confirm)
  }
}

/** Who sits behind sudo, if anybody does. */
function userName (): string {
  const sudo = process.env.SUDO_USER
  if (sudo !== undefined && sudo !== '') return sudo
  try { return userInfo().username } catch { return `uid ${process.getuid?.() ?? '?'}` }
}

export async function readConfig (io: CliIo, file: string): Promise<string> {
  if (file === '-') return await io.stdin()
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    throw new LockstepError('invalid', 'LS_U_FILE', 'the file cannot be read', { object: file, found: (cause as NodeJS.ErrnoException).code ?? String(cause) }, cause)
  }
}

async function applied (io: CliIo, options: ApplyOptions, r: ConfigApplyResponse | ConfigRollbackResponse): Promise<number> {
  if (options.json === true) {
    await io.out(`${toJson({ generation: generationJson(r.generation), dryRun: options.dryRun === true, plan: planJson(r.plan), warnings: r.warnings, totalMs: r.totalMs }, 2)}\n`)
    return exitCode.ok
  }
  await io.out(planText(r.plan, io))
  for (const warning of r.warnings) io.err(`warning: ${printable(warning)}\n`)
  const g = r.generation
  if (options.dryRun === true) await io.out('dry run: nothing was changed\n')
  else if (g !== undefined) {
    await io.out(`${generationLine(g)} is in force (${r.totalMs.toFixed(0)} ms)\n`)
    if (g.confirmByMs !== undefined) await io.out(`it rolls back at ${time(g.confirmByMs)}${options.confirm === undefined ? '' : ` (in ${duration(options.confirm)})`} unless confirmed: ${selfName(io)} confirm\n`)
  }
  return exitCode.ok
}

async function oneGeneration (io: CliIo, options: CommonOptions, what: string, g: Generation | undefined): Promise<void> {
  await io.out(options.json === true ? `${toJson(generationJson(g), 2)}\n` : `${what}: ${g === undefined ? 'nothing' : generationLine(g)}\n`)
}
