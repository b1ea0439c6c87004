/** alarms: what is not as it should be now. */
import type { Command } from 'commander'
import { enumWord } from '../../client/index.js'
import { AlarmSeverity, type Alarm } from '../../generated/proto/lockstep/v1/agent.js'
import { withAgent } from '../agent-link.js'
import { call } from '../client.js'
import { exitCode } from '../exit-codes.js'
import { table, type TableColumn } from '../table.js'
import { action, listVerb, printList, type Cli, type ListOptions } from '../verb.js'
import { wholeList } from '../whole-list.js'
import { age } from './cluster-status.js'

export function addAlarms (parent: Command, cli: Cli): void {
  listVerb(parent, { usage: 'alarms', summary: 'Show what is not as it should be now', about: 'Errors first. Exit code 1 when there is an error; what was, and is no longer, is in `events`.', examples: ['alarms', 'alarms --json'] })
    .action(action(cli, async (options: ListOptions) => {
      const { alarms } = await withAgent(cli.io, options, async ({ agent }) => await wholeList('alarms', async listing => await call(agent, agent.listAlarms, { listing })))
      const now = Date.now()
      const columns: ReadonlyArray<TableColumn<Alarm>> = [
        { title: 'SEVERITY', value: word }, { title: 'AREA', value: a => a.area }, { title: 'OBJECT', value: a => a.object }, { title: 'SINCE', value: a => age(a.sinceMs, now), align: 'right' },
        { title: 'WHAT', value: a => a.text }, { title: 'NEXT', value: a => a.next, drop: 1 }
      ]
      await printList(cli.io, options, alarms.map(a => ({ ...a, severity: word(a), sinceMs: a.sinceMs ?? null })), () => alarms.length === 0 ? 'all is as it should be\n' : table<Alarm>(columns, alarms, cli.io))
      return alarms.some(isError) ? exitCode.failed : exitCode.ok
    }))
}

const word = ({ severity }: Alarm): string => enumWord('ALARM_SEVERITY', severity)
const isError = ({ severity }: Alarm): boolean => severity === AlarmSeverity.ALARM_SEVERITY_ERROR
