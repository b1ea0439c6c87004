/** import: the configuration of another program as one of ours. */
import { Argument, type Command } from 'commander'
import { exitCode } from '../exit-codes.js'
import { printable } from '../format.js'
import { toJson } from '../../lib/json.js'
import { load, type ImportFormat, type ImportNote } from '../modules.js'
import { action, offlineVerb, type Cli } from '../verb.js'
import { readConfig } from './config.js'

interface Options { readonly node?: string, readonly peer?: string, readonly configId?: string, readonly json?: boolean }

const formats = ['maglev', 'keepalived', 'conntrackd'] as const satisfies readonly ImportFormat[]

export function addImport (parent: Command, cli: Cli): void {
  offlineVerb(parent, {
    usage: 'import',
    summary: 'Turn the configuration of vpp-maglev, keepalived or conntrackd into one of ours',
    about: 'Prints YAML on standard output, and on standard error a line for everything that is not carried as it stands: where, what, and what to do instead. FILE - reads standard input. Files that FILE includes are not read. Exit code 1 when FILE cannot be read at all.',
    examples: ['import maglev /etc/vpp-maglev/maglev.yaml > lb.yaml', 'import keepalived keepalived.conf --node edge-1 --peer edge-2 > edge.yaml', 'import keepalived keepalived.conf --config-id main', 'import conntrackd conntrackd.conf --json']
  })
    .addArgument(new Argument('<format>', 'what FILE is').choices(formats))
    .argument('<file>')
    .option('--node <name>', 'name of the node that the file is of (default: router_id, else node-1)')
    .option('--peer <name>', 'name of the other node of the pair (default: node-2)')
    .option('--config-id <name>', 'keepalived: the id for which conditional lines are carried')
    .option('--json', 'print {yaml, notes} for programs')
    .action(action(cli, async (format: ImportFormat, file: string, options: Options) => {
      const { io } = cli
      const text = await readConfig(io, file)
      const { importConfig } = await load('import')
      const name = file === '-' ? 'stdin' : file
      const { yaml, notes } = importConfig(format, text, { file: name, node: options.node ?? null, peer: options.peer ?? null, configId: options.configId ?? null })
      if (options.json !== true) for (const note of notes) io.err(`${noteLine(name, note)}\n`)
      await io.out(options.json === true ? `${toJson({ yaml, notes }, 2)}\n` : yaml)
      return exitCode.ok
    }))
}

/** `file:12: auth_pass (not shown): what the nodes say is authenticated with cluster.key-file`. */
function noteLine (file: string, { line, text, reason }: ImportNote): string {
  return `${file}:${line === null ? '' : `${line}:`} ${printable(text)}: ${printable(reason)}`
}
