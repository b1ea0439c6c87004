/** sessions install and reconcile: what another firewall knew, and what somebody knows the table has to be, from a file of JSON lines. */
import { randomUUID } from 'node:crypto'
import type { Command } from 'commander'
import { LockstepError } from '../../contract/errors.js'
import { SessionTuple } from '../../generated/proto/lockstep/v1/session.js'
import { SessionSpec, type SessionsClient } from '../../generated/proto/lockstep/v1/sessions.js'
import { causeOf } from '../../lib/cause-of.js'
import { toJson } from '../../lib/json.js'
import { withAgent } from '../agent-link.js'
import { changeVerb, mutationOf, type ChangeOptions } from '../changing.js'
import { call } from '../client.js'
import { exitCode, usageError } from '../exit-codes.js'
import { addFilterOptions, filterMessage, isFiltered, type FilterOptions } from '../filter-options.js'
import type { CliIo } from '../io.js'
import { action, type Cli } from '../verb.js'
import { readConfig } from './config.js'

/** Of one call: the agent takes 1 MiB, and what stands beside the sessions is small. */
const PART_SESSIONS_MAX = 4096
const PART_BYTES_MAX = (1 << 20) - 4096
/** Before a session in its request, at most. */
const FRAME_BYTES = 5
const REFUSED_SHOWN = 10

export function addInstall (sessions: Command, cli: Cli): void {
  changeVerb(sessions, {
    usage: 'install <file>',
    summary: 'Put sessions into the table as if packets had opened them here',
    about: 'FILE has a session on each line, as JSON with the fields of SessionSpec in lower camel case (docs/grpc.md); - reads standard input. For what another firewall knew: packets are judged by these sessions from then on, and policy is not asked. Lines are put into the table at most 4096 at a time, each part as a change of its own: with several, --request-id gets the number of the part (ID.1, ID.2 ...), and --detach is refused. Exit code 1 when one was refused.',
    examples: ['sessions install sessions.jsonl --dry-run', 'sessions install - < sessions.jsonl']
  }).action(action(cli, async (file: string, options: ChangeOptions) => await install(cli, file, options)))

  addFilterOptions(changeVerb(sessions, {
    usage: 'reconcile <file>',
    summary: 'Make a part of the table what a file says',
    about: 'FILE as for install. Sessions of it that are not there are put into the table, those that are there just so are kept, and then those that match the filter, were there before and are not in the file end. What packets open meanwhile stays. With --dry-run it says what would be. Asks for --yes. Exit code 1 when a session was refused.',
    examples: ['sessions reconcile sessions.jsonl --rg 1 --dry-run', 'sessions reconcile sessions.jsonl --all --yes']
  }))
    .option('--yes', 'do it without asking')
    .option('--all', 'the file has every session that there should be')
    .action(action(cli, async (file: string, options: ReconcileOptions) => await reconcile(cli, file, options)))
}

type ReconcileOptions = ChangeOptions & FilterOptions & { readonly yes?: boolean, readonly all?: boolean }
interface Installed { installed: number, kept: number, readonly refused: Array<{ index: number, code: string }> }

async function install ({ io }: Cli, file: string, options: ChangeOptions): Promise<number> {
  const specs = await specsOf(io, file)
  const { installed, refused } = await withAgent(io, options, async ({ sessions }) => await send(io, sessions, specs, '', options))
  if (options.json === true) await io.out(`${toJson({ installed, refused })}\n`)
  else await io.out(`${installed} of ${specs.length} sessions\n`)
  return tellRefused(io, refused, options)
}

async function reconcile ({ io }: Cli, file: string, options: ReconcileOptions): Promise<number> {
  const filter = filterMessage(options)
  if (isFiltered(filter) === (options.all === true)) throw usageError('it must be said of what part of the table the file has all', options.all === true ? '--all with a filter' : 'no filter', 'a filter such as --rg or --source, or --all')
  if (options.yes !== true && options.dryRun !== true) throw usageError('this ends sessions', 'no --yes', '--yes, or --dry-run to see what would end')
  if (options.detach === true) throw usageError('it is several calls, of which the last must follow the others', '--detach', 'no --detach')
  const specs = await specsOf(io, file)
  const bulk = randomUUID()
  const [{ installed, kept, refused }, done] = await withAgent(io, options, async ({ sessions }) => [
    await send(io, sessions, specs, bulk, options),
    await call(sessions, sessions.reconcile, { bulk, filter, all: options.all === true, ...mutationOf({ err: () => undefined }, options.requestId === undefined ? options : { ...options, requestId: `${options.requestId}.end` }) }, { signal: io.signal, deadlineMs: 300_000 })
  ] as const)
  if (options.json === true) await io.out(`${toJson({ installed, kept, refused, ...done })}\n`)
  else await io.out(`${installed} put into the table, ${kept} kept, ${options.dryRun === true ? `${done.matched} would end` : `${done.deleted} ended`}\n`)
  return tellRefused(io, refused, options)
}

async function specsOf (io: CliIo, file: string): Promise<SessionSpec[]> {
  return (await readConfig(io, file)).split('\n').flatMap((line, i) => line.trim() === '' ? [] : [specOf(line, `${file === '-' ? 'stdin' : file}:${i + 1}`)])
}

/** In as many calls as it takes. @param bulk '': none */
async function send (io: CliIo, sessions: SessionsClient, specs: readonly SessionSpec[], bulk: string, options: ChangeOptions): Promise<Installed> {
  const parts = partsOf(specs)
  const several = parts.length > 1
  if (several && options.detach === true) throw new LockstepError('invalid', 'LS_U_DETACH', 'only one part can be detached, and the others would never be sent', { object: '--detach', found: `${specs.length} sessions in ${parts.length} parts`, expected: `one part: at most ${PART_SESSIONS_MAX} sessions of 1 MiB`, next: 'leave --detach out, or cut the file' })
  const total: Installed = { installed: 0, kept: 0, refused: [] }
  let at = 0
  for (const [i, part] of parts.entries()) {
    const ofPart = several && options.requestId !== undefined ? { ...options, requestId: `${options.requestId}.${i + 1}` } : options
    const first = at
    const answer = await call(sessions, sessions.install, { sessions: part, bulk, ...mutationOf(i === 0 ? io : { err: () => undefined }, ofPart) })
    at += part.length
    total.installed += answer.installed
    total.kept += answer.kept
    total.refused.push(...answer.refused.map(({ index, code }) => ({ index: first + index, code })))
  }
  return total
}

function tellRefused (io: CliIo, refused: Installed['refused'], { json }: ChangeOptions): number {
  if (json !== true) {
    for (const { index, code } of refused.slice(0, REFUSED_SHOWN)) io.err(`session ${index + 1}: ${code}\n`)
    if (refused.length > REFUSED_SHOWN) io.err(`and ${refused.length - REFUSED_SHOWN} others; --json has them all\n`)
  }
  return refused.length === 0 ? exitCode.ok : exitCode.failed
}

/** What one call takes each; one that is empty when there are none. */
function partsOf (specs: readonly SessionSpec[]): SessionSpec[][] {
  let part: SessionSpec[] = []
  const parts = [part]
  let bytes = 0
  for (const spec of specs) {
    const more = SessionSpec.encode(spec).finish().length + FRAME_BYTES
    if (part.length === PART_SESSIONS_MAX || (part.length > 0 && bytes + more > PART_BYTES_MAX)) {
      parts.push(part = [])
      bytes = 0
    }
    part.push(spec)
    bytes += more
  }
  return parts
}

const blank = SessionSpec.decode(new Uint8Array())
const blankTuple = SessionTuple.decode(new Uint8Array())

function specOf (line: string, where: string): SessionSpec {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch (cause) {
    throw new LockstepError('invalid', 'LS_U_SESSION', 'the line is no JSON', { object: where, found: causeOf(cause) }, cause)
  }
  const spec = filled(value, blank, where)
  return { ...spec, tuple: filled(spec.tuple ?? {}, blankTuple, `${where} tuple`) }
}

/** `value` over `none`, whose keys and types it must have. */
function filled<T extends object> (value: unknown, none: T, where: string): T {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new LockstepError('invalid', 'LS_U_SESSION', 'not an object', { object: where, found: JSON.stringify(value).slice(0, 64) })
  const known = new Map<string, unknown>(Object.entries(none))
  return { ...none, ...Object.fromEntries(Object.entries(value).map(([key, given]: [string, unknown]) => {
    if (!known.has(key)) throw new LockstepError('invalid', 'LS_U_SESSION', 'no such field', { object: where, found: key, expected: [...known.keys()].join(' ') })
    const type = typeof known.get(key)
    if (type === 'undefined') return [key, given]
    if (type === 'bigint' && typeof given === 'number' && Number.isSafeInteger(given) && given >= 0) return [key, BigInt(given)]
    if (type === typeof given && (typeof given !== 'number' || (Number.isInteger(given) && given >= 0 && given <= 0xffff_ffff))) return [key, given]
    throw new LockstepError('invalid', 'LS_U_SESSION', 'not a value of the field', { object: `${where} ${key}`, found: JSON.stringify(given).slice(0, 64), expected: type === 'bigint' ? 'a whole number' : type })
  })) }
}
