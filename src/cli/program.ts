/** The command line as a whole: START HERE for src/cli. Each group of verbs has a file in verbs/. */
import { createColors } from 'picocolors'
import { Command, CommanderError } from 'commander'
import { LockstepError } from '../contract/errors.js'
import { RemoteError } from './remote-error.js'
import { selfName } from './agent-link.js'
import { exitCode, exitCodeOf } from './exit-codes.js'
import { printable } from './format.js'
import { Interrupted, type CliIo } from './io.js'
import { addAgent, packageVersion } from './verbs/agent.js'
import { addBgp } from './verbs/bgp.js'
import { addCluster } from './verbs/cluster.js'
import { addConfig } from './verbs/config.js'
import { addDebug } from './verbs/debug.js'
import { addDoctor } from './verbs/doctor.js'
import { addImport } from './verbs/import.js'
import { addAlarms } from './verbs/alarms.js'
import { addNatWho } from './verbs/nat-who.js'
import { addLinks } from './verbs/links.js'
import { addOperations } from './verbs/operations.js'
import { addLoadBalancer } from './verbs/load-balancer.js'
import { addOffline } from './verbs/offline.js'
import { addProbe } from './verbs/probe.js'
import { addSessions } from './verbs/sessions.js'
import { addShell } from './verbs/shell.js'
import { addTelemetry } from './verbs/telemetry.js'
import { addCompletion } from './verbs/completion.js'
import { addEvents } from './verbs/events.js'
import { addTop } from './verbs/top.js'
import { addWatch } from './verbs/watch.js'
import type { Outcome } from './verb.js'

/** Runs one command line (without node and the script); resolves to the exit code, never rejects except with EPIPE. */
export async function cliMain (argv: readonly string[], io: CliIo): Promise<number> {
  const outcome: Outcome = { code: exitCode.ok }
  const pending: Array<Promise<void>> = []
  const program = buildProgram(io, outcome, pending)
  try {
    await program.parseAsync([...argv], { from: 'user' })
    await Promise.all(pending)
    return outcome.code
  } catch (error) {
    await Promise.all(pending)
    if (isBrokenPipe(error)) throw error
    if (!(error instanceof CommanderError) && !(error instanceof Interrupted) && !io.signal.aborted) io.err(errorText(error, io))
    return io.signal.aborted ? exitCodeOf(io.signal.reason) : exitCodeOf(error)
  }
}

export function buildProgram (io: CliIo, outcome: Outcome, pending: Array<Promise<void>>): Command {
  const program = new Command('lockstep')
    .description('Dataplane agent for Linux router, firewall and L4 load-balancer hosts.')
    .version(packageVersion(), '-V, --version')
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      writeOut: (text) => { pending.push(io.out(text)) },
      writeErr: (text) => { io.err(text) },
      getOutHelpWidth: () => io.width ?? 100,
      getErrHelpWidth: () => io.width ?? 100,
      getOutHasColors: () => io.color,
      getErrHasColors: () => io.errColor
    })
    .showHelpAfterError('(--help shows what is possible)')
  program.addHelpText('after', `
Exit codes: 0 ok, 1 refused or failed, 2 wrong usage, 3 no agent reached, 4 not found, 5 not allowed, 6 out of time,
70 a bug, 128+n ended by signal n. Every verb has --help with examples; those that ask the agent have --json,
those that list --output table|json|jsonl.
Environment: LOCKSTEP_SOCKET (socket of the agent), TRACEPARENT (the trace that calls are part of), NO_COLOR.`)
  const cli = { io, outcome }
  addOffline(program, cli)
  addDoctor(program, cli)
  addImport(program, cli)
  addProbe(program, cli)
  addAgent(program, cli)
  addConfig(program, cli)
  addCluster(program, cli)
  addLoadBalancer(program, cli)
  addAlarms(program, cli)
  addNatWho(program, cli)
  addLinks(program, cli)
  addBgp(program, cli)
  addSessions(program, cli)
  addTelemetry(program, cli)
  addTop(program, cli)
  addWatch(program, cli)
  addOperations(program, cli)
  addEvents(program, cli)
  addDebug(program, cli)
  addShell(program, cli, cliMain)
  addCompletion(program, cli)
  return program
}

/** `error: text`, the violations of a refused configuration under it. */
function errorText (error: unknown, io: CliIo): string {
  const red = createColors(io.errColor).red
  if (!(error instanceof LockstepError)) {
    const detail = error instanceof Error ? error.stack ?? error.message : String(error)
    return `${red('error:')} this is a bug in ${selfName(io)}: ${detail}\n`
  }
  const lines = [`${red('error:')} ${error.message.replace(/^LS_U_\w+: /, '').split('\n').map(printable).join('\n')}`]
  if (error instanceof RemoteError) {
    for (const v of error.violations) lines.push(`  ${printable(`${v.field === '' ? '/' : v.field}: ${v.description} [${v.reason}]`)}`)
  }
  return `${lines.join('\n')}\n`
}

export function isBrokenPipe (error: unknown): boolean {
  return error instanceof Error && (error as NodeJS.ErrnoException).code === 'EPIPE'
}
