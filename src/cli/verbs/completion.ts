/**
 * completion: what a shell may write next, made from the verbs themselves. `lockstep complete` names the objects of a running agent for it; without one, nothing.
 */
import { credentials } from '@grpc/grpc-js'
import type { Command } from 'commander'
import { isKind, ObjectsConnection, Watch, type Kind } from '../../client/index.js'
import { socketPathOf } from '../agent-link.js'
import { socketTarget } from '../client.js'
import { exitCode, usageError } from '../exit-codes.js'
import { action, offlineVerb, onlineVerb, type Cli, type CommonOptions } from '../verb.js'

/** Verbs whose next word is an object's name. */
const named: Readonly<Record<string, Kind>> = {
  'vip list': 'vip', 'vip readback': 'vip', 'vip delete': 'vip', 'target list': 'target', 'target pause': 'target', 'target resume': 'target', 'target disable': 'target', 'target enable': 'target',
  'cluster switchover': 'group', 'cluster hold': 'group', 'cluster release': 'group', 'cluster reset': 'group', 'cluster verify': 'group', rollback: 'generation', compare: 'generation',
  'watch vip': 'vip', 'watch target': 'target', 'watch link': 'link', 'watch generation': 'generation', 'watch group': 'group', 'watch peer': 'peer'
}
const shells = ['bash', 'zsh'] as const
const PATIENCE_MS = 1000

export function addCompletion (program: Command, cli: Cli): void {
  offlineVerb(program, {
    usage: 'completion <shell>', summary: 'Print what bash or zsh needs to complete this program', about: 'Verbs, options and fixed words; names of VIPs, targets, groups and generations are asked of the agent while you type.',
    examples: ['completion bash > /etc/bash_completion.d/lockstep', 'completion zsh > ~/.lockstep.zsh && echo "source ~/.lockstep.zsh" >> ~/.zshrc']
  }).action(action(cli, async (shell: string) => {
    if (!shells.some(name => name === shell)) throw usageError('no such shell', shell, shells.join(' or '))
    await cli.io.out(completionScript(program, shell === 'zsh'))
    return exitCode.ok
  }))
  onlineVerb(program, { usage: 'complete <kind>', summary: 'Print names of objects, for completions', examples: ['complete vip'] })
    .action(action(cli, async (kind: string, options: CommonOptions) => {
      if (isKind(kind)) for (const name of await namesOf(cli, kind, options)) await cli.io.out(`${name}\n`)
      return exitCode.ok
    }))
}

/** None when there is no agent: a completion never fails. */
async function namesOf ({ io }: Cli, kind: Kind, options: CommonOptions): Promise<string[]> {
  try {
    const objects = new ObjectsConnection({ address: socketTarget(await socketPathOf(io, options)), credentials: credentials.createInsecure() })
    const watch = new Watch(objects.open(kind), { signal: AbortSignal.timeout(PATIENCE_MS) })
    try {
      await watch.next()
      return [...watch.current().keys()].filter(name => /^[\w.:/@-]+$/.test(name)).sort()
    } finally {
      await watch.return()
      objects.close()
    }
  } catch {
    return []
  }
}

/** Of functions and `case` alone, which both shells have in common. */
export function completionScript (program: Command, zsh: boolean): string {
  const words: string[] = []
  const options: string[] = []
  const offer = (of: string[], at: string, what: readonly string[]): void => { if (what.length > 0) of.push(`    "${at}") echo "${what.join(' ')}" ;;`) }
  const walk = (command: Command, at: string): void => {
    offer(words, at, [...command.commands.map(one => one.name()), ...command.registeredArguments[0]?.argChoices ?? []])
    offer(options, `${at}`, [...command.options.map(({ long, short }) => long ?? short ?? ''), '--help'])
    for (const choice of command.registeredArguments[0]?.argChoices ?? []) offer(options, `${at} ${choice}`, command.options.map(({ long, short }) => long ?? short ?? ''))
    for (const one of command.commands) walk(one, `${at} ${one.name()}`)
  }
  walk(program, program.name())
  const body = (lines: readonly string[]): string => `() {\n  case "$1" in\n${lines.join('\n')}\n  esac\n}`
  const name = zsh ? 'zsh' : 'bash'
  return `# Completion of lockstep for ${name}. Made by \`lockstep completion ${name}\`.
${zsh ? 'autoload -Uz compinit bashcompinit && compinit && bashcompinit\n' : ''}_lockstep_words ${body(words)}
_lockstep_options ${body(options)}
_lockstep_named ${body(Object.entries(named).map(([at, kind]) => `    "${program.name()} ${at}") echo "${kind}" ;;`))}
_lockstep() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" at="lockstep" i word kind
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    [[ -n $word && " $(_lockstep_words "$at") " == *" $word "* ]] && at+=" $word"
  done
  kind="$(_lockstep_named "$at")"
  if [[ $cur == -* ]]; then
    COMPREPLY=($(compgen -W "$(_lockstep_options "$at")" -- "$cur"))
  elif [[ -n $kind ]]; then
    COMPREPLY=($(compgen -W "$("\${COMP_WORDS[0]}" complete "$kind" 2>/dev/null)" -- "$cur"))
  else
    COMPREPLY=($(compgen -W "$(_lockstep_words "$at")" -- "$cur"))
  fi
}
complete -o default -F _lockstep lockstep
`
}
