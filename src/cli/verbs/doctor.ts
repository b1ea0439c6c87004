/** doctor: what on this host stands in the way of the dataplane, and the command that ends it. */
import { createColors } from 'picocolors'
import { Option, type Command } from 'commander'
import type { BackendName } from '../../contract/dataplane.js'
import { enumWord } from '../../client/index.js'
import { call } from '../client.js'
import { socketGiven, withAgent } from '../agent-link.js'
import { usageError } from '../exit-codes.js'
import { printable } from '../format.js'
import type { CliIo } from '../io.js'
import { toJson } from '../../lib/json.js'
import { load, type Diagnosis, type Finding } from '../modules.js'
import { action, offlineVerb, type Cli } from '../verb.js'
import { readConfig } from './config.js'

interface Options { readonly socket?: string, readonly json?: boolean, readonly all?: boolean, readonly strict?: boolean, readonly backend?: BackendName }

/** An examination runs some tools for each interface. */
const LOOK_MS = 60_000
const severities = ['error', 'warning', 'note', 'ok'] as const

/** Of this verb alone, beside those of every verb. */
export const doctorExit = { well: 0, warnings: 1, errors: 2 } as const

export function addDoctor (parent: Command, cli: Cli): void {
  offlineVerb(parent, {
    usage: 'doctor [file]',
    summary: 'Find what on this host stands in the way',
    about: 'Looks and changes nothing: sysctls, nftables, offloads, drivers, BPF programs of others, memory, clocks. Each finding says what follows from it and which command ends it. With a configuration FILE, or with --socket by the agent behind it for what it runs, it looks at the interfaces that are claimed, in their namespaces, and at what the table needs; with neither at every interface here that is up. Works without root and says what it could not see. Exit code 0: no errors; 1: warnings, with --strict; 2: errors.',
    examples: ['doctor edge.yaml', 'doctor edge.yaml --backend ebpf', 'doctor --socket /run/lockstep/agent.sock', 'doctor --backend ebpf --json | jq -r \'.findings[].command\'']
  })
    .option('--socket <path>', 'let the agent behind this socket look, for what it runs')
    .addOption(new Option('--backend <name>', 'judge for this backend (default: as configured, else userspace)').choices(['userspace', 'ebpf']))
    .option('--all', 'show what is well, too')
    .option('--strict', 'exit code 1 when there are warnings')
    .option('--json', 'print JSON for programs')
    .action(action(cli, async (file: string | undefined, options: Options) => {
      const { io } = cli
      const d = await diagnosis(io, file, options)
      await io.out(options.json === true ? `${toJson({ ...d, counts: counts(d.findings) }, 2)}\n` : text(d, io, options.all === true))
      const { error, warning } = counts(d.findings)
      return error > 0 ? doctorExit.errors : warning > 0 && options.strict === true ? doctorExit.warnings : doctorExit.well
    }))
}

/** The agent looks where it runs and with its privileges; without --socket this process does. */
async function diagnosis (io: CliIo, file: string | undefined, options: Options): Promise<Diagnosis> {
  const { backend = null } = options
  if (file !== undefined && options.socket !== undefined) throw usageError('a file and --socket name two configurations', `${file} and ${options.socket}`, 'one of them')
  if (file === undefined && socketGiven(io, options) !== null) {
    const { backend: judged, root, interfaces, findings } = await withAgent(io, options, async ({ agent }) => await call(agent, agent.doctor, { backend: backend ?? '' }, { deadlineMs: LOOK_MS, signal: io.signal }))
    return { backend: judged as BackendName, root, interfaces, findings: findings.map(f => ({ ...f, severity: enumWord('FINDING_SEVERITY', f.severity) as Finding['severity'] })) }
  }
  const { doctor } = await load('doctor')
  const source = file === undefined ? { text: null, name: '' } : { text: await readConfig(io, file), name: file === '-' ? 'stdin' : file }
  return await doctor({ ...source, running: false, backend, signal: io.signal })
}

function counts (findings: readonly Finding[]): Record<Finding['severity'], number> {
  const n = { error: 0, warning: 0, note: 0, ok: 0 }
  for (const { severity } of findings) n[severity]++
  return n
}

/** Worst first: a line for what is so, then what follows, then the command alone on its line, to be copied. */
function text (d: Diagnosis, io: CliIo, all: boolean): string {
  const c = createColors(io.color)
  const paint = { error: c.red, warning: c.yellow, note: c.cyan, ok: c.green }
  const shown = severities.filter((s) => all || s !== 'ok').flatMap((s) => d.findings.filter((f) => f.severity === s))
  const width = (of: (f: Finding) => string): number => shown.reduce((most, f) => Math.max(most, of(f).length), 0)
  const [subjects, ids] = [width((f) => f.subject), width((f) => f.id)]
  const lines = shown.flatMap((f) => [
    `${paint[f.severity](f.severity.padEnd(8))} ${f.subject.padEnd(subjects)}  ${f.id.padEnd(ids)}  ${printable(f.finding)}`,
    ...(f.consequence === '' ? [] : [`${' '.repeat(9)}${c.dim(printable(f.consequence))}`]),
    ...(f.command === '' ? [] : [`${' '.repeat(9)}fix: ${c.bold(printable(f.command))}`])
  ])
  const n = counts(d.findings)
  const sum = severities.map((s) => `${n[s]} ${s}${s === 'ok' || n[s] === 1 ? '' : 's'}`).join(', ')
  return [...lines, `${sum} (backend ${d.backend}, ${d.interfaces} ${d.interfaces === 1 ? 'interface' : 'interfaces'}${d.root ? '' : ', without root'})`].map((l) => `${l}\n`).join('')
}
