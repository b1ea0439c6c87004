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

/** Of one call. */
const SESSIONS_MAX = 4096
const REFUSED_SHOWN = 10

export function addInstall (sessions: Command, cli: Cli): void {
  changeVerb(sessions, {
    usage: 'install <file>',
    summary: 'Put sessions into the table as if packets had opened them here',
    about: 'FILE has a session on each line, as JSON with the fields of SessionSpec in lower camel case (docs/grpc.md); - reads standard input. For what another firewall knew: packets are judged by these sessions from then on, and policy is not asked. Lines are put into the table 4096 at a time. Exit code 1 when one was refused.',
    examples: ['sessions install sessions.jsonl --dry-run', 'sessions install - < sessions.jsonl']
  }).action(action(cli, async (file: string, options: ChangeOptions) => await install(cli, file, options)))
}

async function install ({ io }: Cli, file: string, options: ChangeOptions): Promise<number> {
  const specs = (await readConfig(io, file)).split('\n').flatMap((line, i) => line.trim() === '' ? [] : [specOf(line, `${file === '-' ? 'stdin' : file}:${i + 1}`)])
  const refused: Array<{ index: number, code: string }> = []
  let installed = 0
  await withAgent(io, options, async ({ sessions }) => {
    for (let at = 0; at === 0 || at < specs.length; at += SESSIONS_MAX) {
      const answer = await call(sessions, sessions.install, { sessions: specs.slice(at, at + SESSIONS_MAX), bulk: '', ...mutationOf(at === 0 ? io : { err: () => undefined }, options) })
      installed += answer.installed
      refused.push(...answer.refused.map(({ index, code }) => ({ index: at + index, code })))
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
