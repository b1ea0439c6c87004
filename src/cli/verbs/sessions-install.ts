/** sessions install: what another firewall knew, from a file of JSON lines. */
import type { Command } from 'commander'
import { LockstepError } from '../../contract/errors.js'
import { SessionTuple } from '../../generated/proto/lockstep/v1/session.js'
import { SessionSpec } from '../../generated/proto/lockstep/v1/sessions.js'
import { toJson } from '../../lib/json.js'
import { withAgent } from '../agent-link.js'
import { changeVerb, mutationOf, type ChangeOptions } from '../changing.js'
import { call } from '../client.js'
import { exitCode } from '../exit-codes.js'
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
}

async function install ({ io }: Cli, file: string, options: ChangeOptions): Promise<number> {
  const specs = (await readConfig(io, file)).split('\n').flatMap((line, i) => line.trim() === '' ? [] : [specOf(line, `${file === '-' ? 'stdin' : file}:${i + 1}`)])
  const parts = partsOf(specs)
  const several = parts.length > 1
  if (several && options.detach === true) throw new LockstepError('invalid', 'LS_U_DETACH', 'only one part can be detached, and the others would never be sent', { object: '--detach', found: `${specs.length} sessions in ${parts.length} parts`, expected: `one part: at most ${PART_SESSIONS_MAX} sessions of 1 MiB`, next: 'leave --detach out, or cut the file' })
  const refused: Array<{ index: number, code: string }> = []
  let installed = 0
  await withAgent(io, options, async ({ sessions }) => {
    let at = 0
    for (const [i, part] of parts.entries()) {
      const ofPart = several && options.requestId !== undefined ? { ...options, requestId: `${options.requestId}.${i + 1}` } : options
      const first = at
      const answer = await call(sessions, sessions.install, { sessions: part, bulk: '', ...mutationOf(i === 0 ? io : { err: () => undefined }, ofPart) })
      at += part.length
      installed += answer.installed
      refused.push(...answer.refused.map(({ index, code }) => ({ index: first + index, code })))
    }
  })
  if (options.json === true) await io.out(`${toJson({ installed, refused })}\n`)
  else {
    await io.out(`${installed} of ${specs.length} sessions\n`)
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
    throw new LockstepError('invalid', 'LS_U_SESSION', 'the line is no JSON', { object: where, found: cause instanceof Error ? cause.message : String(cause) }, cause)
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
