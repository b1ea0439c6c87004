/** The line of a view that says how much goes through: read now and then, since what counts has no changes to follow. */
import type { AgentGetInfoResponse } from '../../generated/proto/lockstep/v1/agent.js'
import type { TelemetrySnapshotResponse } from '../../generated/proto/lockstep/v1/telemetry.js'
import { withAgent, type LinkOptions } from '../agent-link.js'
import { call } from '../client.js'
import { count } from '../format.js'
import type { CliIo } from '../io.js'

export interface Reading { readonly info: Pick<AgentGetInfoResponse, 'tableLive' | 'tableCapacity' | 'startedAtMs'>, readonly counters: TelemetrySnapshotResponse }

export async function readTraffic (io: CliIo, options: LinkOptions): Promise<Reading> {
  return await withAgent(io, options, async ({ agent, telemetry }) => {
    const [info, counters] = await Promise.all([call(agent, agent.getInfo, {}), call(telemetry, telemetry.snapshot, { blocks: ['global'], zeros: true })])
    return { info, counters }
  })
}

/** Rates are of the time between two readings of one life of the agent. */
export function trafficLine (before: Reading | null, { info, counters }: Reading): string {
  const use = info.tableCapacity === 0n ? 0 : 100 * Number(info.tableLive) / Number(info.tableCapacity)
  const sessions = `${count(info.tableLive)} of ${count(info.tableCapacity)} sessions (${use.toFixed(1)} %)`
  const seconds = before === null || before.info.startedAtMs !== info.startedAtMs ? 0 : Number(counters.timeNs - before.counters.timeNs) / 1e9
  if (before === null || seconds <= 0) return sessions
  const rate = (name: string, each = 1): string => count(Math.max(0, each * (total(counters, name) - total(before.counters, name)) / seconds))
  return `${sessions}, ${rate('sessions_created')} new/s   in ${rate('rx_packets')} packets/s ${rate('rx_bytes', 8)}bit/s   out ${rate('tx_packets')} packets/s ${rate('tx_bytes', 8)}bit/s   dropped ${rate('drops')}/s`
}

const total = ({ blocks }: TelemetrySnapshotResponse, name: string): number => Number(blocks[0]?.rows.find(row => row.name === name)?.values[0] ?? 0n)
