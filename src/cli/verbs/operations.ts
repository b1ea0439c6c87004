/** operation: changes that are under way or have ended, whoever asked for them. */
import type { ServiceDefinition } from '@grpc/grpc-js'
import type { Command } from 'commander'
import { AgentService } from '../../generated/proto/lockstep/v1/agent.js'
import { ClusterService } from '../../generated/proto/lockstep/v1/cluster.js'
import { ConfigService } from '../../generated/proto/lockstep/v1/config.js'
import { LoadBalancerService } from '../../generated/proto/lockstep/v1/load_balancer.js'
import { OperationState, type Operation } from '../../generated/proto/lockstep/v1/operations.js'
import { SessionsService } from '../../generated/proto/lockstep/v1/sessions.js'
import { enumWord } from '../../client/index.js'
import { toJson } from '../../lib/json.js'
import { withAgent } from '../agent-link.js'
import { changeVerb, mutationOf, type ChangeOptions } from '../changing.js'
import { call, messages } from '../client.js'
import { exitCode } from '../exit-codes.js'
import { duration, printable, time } from '../format.js'
import { table, type TableColumn } from '../table.js'
import { action, listVerb, onlineVerb, printList, type Cli, type CommonOptions, type ListOptions } from '../verb.js'
import { wholeList } from '../whole-list.js'

const columns: ReadonlyArray<TableColumn<Operation>> = [
  { title: 'OPERATION', value: (o) => o.id }, { title: 'STATE', value: (o) => word(o) }, { title: 'METHOD', value: (o) => methodOf(o) }, { title: 'BY', value: (o) => (o.caller === '' ? 'local' : o.caller) },
  { title: 'BEGAN', value: (o) => time(o.startedAtMs), drop: 1 }, { title: 'TOOK', value: (o) => duration(o.tookMs), align: 'right' }, { title: 'REQUEST', value: (o) => o.error?.message ?? o.request, drop: 2 }
]

export function addOperations (parent: Command, cli: Cli): void {
  const operation = parent.command('operation').summary('changes under way, and those that ended lately').description('Every change that somebody asks for. One that was asked for with --detach goes on by itself.')
  listVerb(operation, { usage: 'list', summary: 'Show changes, newest first', examples: ['operation list', 'operation list --running', 'operation list --request-id deploy-7 --json'] })
    .option('--running', 'only those under way')
    .option('--request-id <id>', 'only those of this request id')
    .action(action(cli, async (options: ListOptions & { readonly running?: boolean, readonly requestId?: string }) => {
      const { operations } = await withAgent(cli.io, options, async (a) => await wholeList('operations', async listing => await call(a.operations, a.operations.list, { running: options.running ?? false, requestId: options.requestId ?? '', listing })))
      await printList(cli.io, options, operations.map(plain), () => operations.length === 0 ? 'no operation\n' : table<Operation>(columns, operations, cli.io))
      return exitCode.ok
    }))
  onlineVerb(operation, { usage: 'get <id>', summary: 'Show one, and its answer when it has ended', examples: ['operation get 3f0c1b2a-4', 'operation get 3f0c1b2a-4 --json'] })
    .action(action(cli, async (id: string, options: CommonOptions) => await shown(cli, options, await withAgent(cli.io, options, async (a) => (await call(a.operations, a.operations.get, { id })).operation))))
  onlineVerb(operation, { usage: 'wait <id>', summary: 'Wait until it has ended, and show it', about: 'Returns 1 unless it was made.', examples: ['operation wait 3f0c1b2a-4'] })
    .action(action(cli, async (id: string, options: CommonOptions) => await withAgent(cli.io, options, async (a) => {
      let last: Operation | undefined
      for await (const { operation: now } of messages(a.operations.watch({ id }), cli.io.signal)) last = now ?? last
      await shown(cli, options, last)
      return last === undefined || last.state === OperationState.OPERATION_STATE_DONE ? exitCode.ok : exitCode.failed
    })))
  changeVerb(operation, { usage: 'cancel <id>', summary: 'Ask it to stop, which it does between two of its steps', examples: ['operation cancel 3f0c1b2a-4'] })
    .action(action(cli, async (id: string, options: ChangeOptions) =>
      await shown(cli, options, await withAgent(cli.io, options, async (a) => (await call(a.operations, a.operations.cancel, { id, ...mutationOf(cli.io, options) })).operation))))
}

const word = ({ state }: Operation): string => enumWord('OPERATION_STATE', state)
const methodOf = ({ method }: Operation): string => method.replace(/^lockstep\.v1\./, '')

async function shown ({ io }: Cli, options: CommonOptions, operation: Operation | undefined): Promise<number> {
  if (operation === undefined) return exitCode.ok
  if (options.json === true) await io.out(`${toJson(plain(operation), 2)}\n`)
  else await io.out(printable(`${operation.id}  ${word(operation)}${operation.cancelAsked && operation.state === OperationState.OPERATION_STATE_RUNNING ? ' (asked to stop)' : ''}  ${methodOf(operation)}  ${duration(operation.tookMs)}`) + `\n${operation.error === undefined ? '' : printable(operation.error.message) + '\n'}`)
  return exitCode.ok
}

const definitions: readonly ServiceDefinition[] = [AgentService, ClusterService, ConfigService, LoadBalancerService, SessionsService]
const answers: ReadonlyMap<string, (bytes: Buffer) => unknown> = new Map(definitions.flatMap(definition => Object.values(definition).map(({ path, responseDeserialize }) => [path.slice(1), (bytes: Buffer): unknown => responseDeserialize(bytes)] as const)))

/** Its answer is a message of its method. */
function plain ({ response, ...operation }: Operation): object {
  const answer = response.length === 0 ? null : answers.get(operation.method)?.(response) ?? null
  return { ...operation, state: word({ response, ...operation }), answer }
}
