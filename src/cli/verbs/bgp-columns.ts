/** Columns of BGP neighbours: of the verb that lists them, and of views. */
import { enumWord, type ObjectOf } from '../../client/index.js'
import { count, duration } from '../format.js'
import type { TableColumn } from '../table.js'

export const stateWord = (state: string): string => enumWord('BGP_STATE', state)
export const age = (nowMs: number, at: bigint | undefined): string => at === undefined ? '-' : duration(Math.max(0, nowMs - Number(at)))
const fsmWord = ({ fsm, adminDown, state }: ObjectOf<'bgp'>): string => stateWord(state) === 'unknown' ? '-' : adminDown ? 'shut down' : fsm ?? '-'

export const neighbourColumns = (nowMs: number): ReadonlyArray<TableColumn<ObjectOf<'bgp'>>> => [
  { title: 'VRF', value: n => n.vrf }, { title: 'PEER', value: n => n.peer }, { title: 'AS', value: n => String(n.remoteAs ?? '-'), align: 'right' }, { title: 'STATE', value: n => stateWord(n.state) }, { title: 'FSM', value: fsmWord },
  { title: 'SINCE', value: n => age(nowMs, n.sinceMs), align: 'right', ticks: true }, { title: 'FLAPS', value: n => String(n.flaps), align: 'right' }, { title: 'RTT', value: n => n.rttNs === undefined ? '-' : `${(Number(n.rttNs) / 1e6).toFixed(3)} ms`, align: 'right', drop: 1 },
  { title: 'PREFIXES', value: n => n.prefixesReceived === undefined ? '-' : count(n.prefixesReceived), align: 'right', drop: 2 }, { title: 'SOURCE', value: n => n.source, drop: 4 }, { title: 'LOCAL', value: n => n.local ?? '-', drop: 5 },
  { title: 'DESCRIPTION', value: n => n.description ?? '', drop: 3 }, { title: 'REASON', value: n => n.unknownBecause !== '' ? n.unknownBecause : stateWord(n.state) === 'up' ? '' : n.reason ?? '' }
]
