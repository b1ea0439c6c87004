/** shell: the same verbs without the program's name, over one connection; on a terminal with completion, help and history, otherwise line by line. */
import { createInterface } from 'node:readline'
import type { Command } from 'commander'
import { socketPathOf, withObjects, type LinkOptions } from '../agent-link.js'
import { keptChannel, socketTarget } from '../client.js'
import { exitCode, exitCodeOf } from '../exit-codes.js'
import { Terminal } from '../shell/terminal.js'
import { Shell, type RunLine } from '../shell/shell.js'
import { action, offlineVerb, type Cli } from '../verb.js'

interface ShellOptions extends LinkOptions { readonly keepGoing?: boolean }

export function addShell (program: Command, { io, outcome }: Cli, run: RunLine): void {
  offlineVerb(program, {
    usage: 'shell',
    alone: 'it is one already',
    summary: 'Type verbs without the program\'s name, over one connection',
    about: 'Tab completes verbs, options, values and names of objects, ? helps at any place of a line, Ctrl-C ends the command under way, Ctrl-D the shell. What follows a | goes to a command of the host: `sessions list | less`. The prompt says which node this is, what forwards, and its role in a pair. Lines are kept in lockstep/shell-history under XDG_STATE_HOME, but for those that begin with a blank. When standard input is no terminal its lines are run one by one (# begins a comment), and the first that fails ends it with its exit code.',
    examples: ['shell', 'shell < commands.txt', 'shell --keep-going --socket /run/lockstep/agent.sock < commands.txt']
  })
    .option('--socket <path>', 'socket of the agent (default: LOCKSTEP_SOCKET, else the user\'s own, else the system\'s)')
    .option('--keep-going', 'of a script: go on behind a line that fails; the exit code is that of the last one that failed')
    .action(action({ io, outcome }, async (options: ShellOptions) => {
      const path = await socketPathOf(io, options)
      const channel = keptChannel(socketTarget(path))
      try {
        const inside = { ...io, get width () { return io.width }, env: { ...io.env, LOCKSTEP_SOCKET: path }, kept: { path, channel } }
        const shell = new Shell(program, inside, run)
        if (io.terminal === null) return await script(shell, options.keepGoing === true)
        const { terminal } = io
        return await withObjects(inside, {}, async objects => await new Terminal(shell, terminal, objects).run())
      } finally {
        channel.close()
      }
    }))
}

async function script (shell: Shell, keepGoing: boolean): Promise<number> {
  const { io } = shell
  const lines = createInterface({ input: io.input, crlfDelay: Infinity, terminal: false })
  const stop = (): void => { lines.close() }
  io.signal.addEventListener('abort', stop, { once: true })
  let number = 0
  let failed: number = exitCode.ok
  try {
    for await (const text of lines) {
      number++
      const code = await shell.execute(text)
      if (code === null) break
      if (io.signal.aborted) return exitCodeOf(io.signal.reason)
      if (code === exitCode.ok) continue
      failed = code
      io.err(`line ${number} ended with ${code}${keepGoing ? '' : '; the rest was not run (--keep-going would)'}\n`)
      if (!keepGoing) break
    }
  } finally {
    io.signal.removeEventListener('abort', stop)
    lines.close()
  }
  return io.signal.aborted ? exitCodeOf(io.signal.reason) : failed
}
