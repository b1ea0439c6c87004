/**
 * completion: what a shell may write next, made from the verbs themselves. `lockstep complete` names the objects of a running agent for it; without one, nothing.
 */
import { Argument, type Command } from 'commander'
import { isKind, Watch } from '../../client/index.js'
import { withObjects, type LinkOptions } from '../agent-link.js'
import { namedArguments, namedOptions, optionWord, takesValue, type NamedKind } from '../context.js'
import { exitCode } from '../exit-codes.js'
import type { CliIo } from '../io.js'
import { action, offlineVerb, onlineVerb, type Cli, type CommonOptions } from '../verb.js'
import { toJson } from '../../lib/json.js'

const shells = ['bash', 'zsh'] as const
const PATIENCE_MS = 1000

export function addCompletion (program: Command, cli: Cli): void {
  offlineVerb(program, {
    usage: 'completion', summary: 'Print what bash or zsh needs to complete this program', about: 'Verbs, options and fixed words; names of VIPs, targets, groups and generations are asked of the agent while you type.',
    examples: ['completion bash > /etc/bash_completion.d/lockstep', 'completion zsh > ~/.lockstep.zsh && echo "source ~/.lockstep.zsh" >> ~/.zshrc']
  }).addArgument(new Argument('<shell>', 'yours').choices(shells))
    .action(action(cli, async (shell: string) => {
      await cli.io.out(completionScript(program, shell === 'zsh'))
      return exitCode.ok
    }))
  onlineVerb(program, { usage: 'complete <kind>', summary: 'Print names of objects, for completions', examples: ['complete vip'] })
    .action(action(cli, async (kind: string, options: CommonOptions) => {
      const names = kind === 'real' || isKind(kind) ? await namesOf(cli.io, kind, options) : []
      await cli.io.out(options.json === true ? `${toJson(names)}\n` : names.map(name => `${name}\n`).join(''))
      return exitCode.ok
    }))
}

/** None when there is no agent: a completion never fails. */
export async function namesOf (io: CliIo, kind: NamedKind, options: LinkOptions): Promise<string[]> {
  try {
    return await withObjects(io, options, async (objects) => {
      const signal = AbortSignal.timeout(PATIENCE_MS)
      const names = kind === 'real' ? await first(new Watch(objects.open('vip'), { signal }), ([vip, { reals }]) => reals.map(real => `${vip}/${real.name}`)) : await first(new Watch(objects.open(kind), { signal }), ([name]) => [name])
      return [...new Set(names)].filter(name => /^[\w.:/@-]+$/.test(name)).sort()
    })
  } catch {
    return []
  }
}

async function first<V> (watch: Watch<V>, namesIn: (entry: readonly [string, V]) => string[]): Promise<string[]> {
  try {
    await watch.next()
    return [...watch.current()].flatMap(namesIn)
  } finally {
    await watch.return()
  }
}

/** Of functions and `case` alone, which both shells have in common. */
export function completionScript (program: Command, zsh: boolean): string {
  const words: string[] = []
  const options: string[] = []
  const values: string[] = []
  const offer = (of: string[], at: string, what: readonly string[]): void => { if (what.length > 0) of.push(`    "${at}") echo "${what.join(' ')}" ;;`) }
  const walk = (command: Command, at: string): void => {
    const choices = command.registeredArguments[0]?.argChoices ?? []
    offer(words, at, [...command.commands.map(one => one.name()), ...choices])
    for (const place of [at, ...choices.map(choice => `${at} ${choice}`)]) {
      offer(options, place, [...command.options.map(optionWord), '--help'])
      for (const option of command.options.filter(takesValue)) offer(values, `${place} ${optionWord(option)}`, option.argChoices ?? [])
    }
    for (const one of command.commands) walk(one, `${at} ${one.name()}`)
  }
  walk(program, program.name())
  const body = (lines: readonly string[]): string => `() {\n  case "$1" in\n${lines.join('\n')}\n  esac\n}`
  const kinds = (of: Readonly<Record<string, NamedKind>>, under: string): string[] => Object.entries(of).map(([at, kind]) => `    "${under}${at}") echo "${kind}" ;;`)
  const name = zsh ? 'zsh' : 'bash'
  return `# Completion of lockstep for ${name}. Made by \`lockstep completion ${name}\`.
${zsh ? 'autoload -Uz compinit bashcompinit && compinit && bashcompinit\n' : ''}_lockstep_words ${body(words)}
_lockstep_options ${body(options)}
_lockstep_values ${body(values)}
_lockstep_named ${body([...kinds(namedArguments, `${program.name()} `), ...kinds(namedOptions, '')])}
_lockstep() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD-1]}" at="lockstep" i word kind offered
  for ((i = 1; i < COMP_CWORD; i++)); do
    word="\${COMP_WORDS[i]}"
    [[ -n $word && " $(_lockstep_words "$at") " == *" $word "* ]] && at+=" $word"
  done
  kind="$(_lockstep_named "$prev")"
  offered="$(_lockstep_values "$at $prev")"
  if [[ $cur == -* ]]; then
    offered="$(_lockstep_options "$at")"
  elif [[ -z $kind && -z $offered ]]; then
    kind="$(_lockstep_named "$at")"
    offered="$(_lockstep_words "$at")"
  fi
  [[ $cur != -* && -n $kind ]] && offered="$("\${COMP_WORDS[0]}" complete "$kind" 2>/dev/null)"
  COMPREPLY=($(compgen -W "$offered" -- "$cur"))
}
complete -o default -F _lockstep lockstep
`
}
