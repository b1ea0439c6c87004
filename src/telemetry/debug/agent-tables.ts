/** Debug tables of what the whole agent has: generations, the journal, names of configured objects. */
import type { DebugLink, DebugShape, DebugTable, DebugTone } from '../../contract/debug.js'
import type { EventJournal, NumberedEvent } from '../../contract/events.js'
import type { AgentServices, ConfigAuthority, GenerationInfo, NameBook, NameKind } from '../../contract/services.js'
import { limits } from '../../generated/layout.js'
import { objectName } from '../counter-blocks.js'
import { debugTable, factColumns, factTone, link, type Fact } from './table.js'

const stateTones: Readonly<Record<GenerationInfo['state'], DebugTone>> = { running: 'good', unconfirmed: 'warn', superseded: 'dim', 'rolled-back': 'dim', failed: 'bad' }
const levelTones: Readonly<Record<NumberedEvent['level'], DebugTone>> = { debug: 'dim', info: '', warn: 'warn', error: 'bad' }

/** Tables that the objects of events are rows of, by the word before their name. */
const objects: Readonly<Record<string, string>> = { vip: 'vips', real: 'reals', target: 'targets', rg: 'groups', generation: 'generations' }
function objectLink (object: string): readonly DebugLink[] {
  const [, word = '', name = ''] = /^(\S+) (.+)$/s.exec(object) ?? []
  const table = objects[word]
  return table === undefined ? [] : link(table, name)
}

export function agentTables ({ info, config, journal, names }: Pick<AgentServices, 'info' | 'config' | 'journal' | 'names'>): readonly DebugTable[] {
  return [
    debugTable<Fact>({
      name: 'agent', group: 'agent', about: 'The agent: what it is, since when, and what it forwards with', source: 'main thread', columns: factColumns, tone: factTone,
      read: async () => {
        const of = await info()
        return [
          { name: 'node', value: of.node }, { name: 'instance', value: of.instance }, { name: 'version', value: of.version }, { name: 'pid', value: of.pid }, { name: 'state', value: of.state, tone: of.state === 'running' ? 'good' : 'warn' },
          ...of.reasons.map((value, i): Fact => ({ name: `reason-${i + 1}`, value, tone: 'warn' })), { name: 'started', value: new Date(of.startedAt).toISOString() }, { name: 'backend', value: of.backend }, { name: 'generation', value: of.generation },
          { name: 'sessions', value: of.tableLive }, { name: 'session-capacity', value: of.tableCapacity }, { name: 'huge-pages', value: of.hugepages ? 'yes' : 'no' }, { name: 'main-loop-p99-ms', value: round(of.eventLoopDelayP99Ms) }, { name: 'rpc-loop-p99-ms', value: round(of.rpcLoopDelayP99Ms) },
          ...Object.entries({ ...of.switches }).map(([name, value]) => ({ name: `switches-${name}`, value })),
          ...of.program === null ? [] : [{ name: 'program', value: of.program.up ? `up: ${of.program.version}` : `down: ${of.program.reason}`, tone: of.program.up ? 'good' as const : 'bad' as const }, ...Object.entries(of.program.messages).map(([name, value]) => ({ name: `program-messages-${name}`, value }))]
        ]
      }
    }),
    generationTable(config), historyTable(journal), auditTable(journal), nameTable(names)
  ]
}

const round = (value: number): number => Math.round(value * 100) / 100

const generationTable = (config: Pick<ConfigAuthority, 'history'>): DebugTable => debugTable<GenerationInfo>({
  name: 'generations', group: 'agent', about: 'A generation of the configuration, newest first', source: 'main thread, configuration authority',
  columns: {
    generation: ['id', g => g.generation], state: ['text', g => g.state], applied: ['time', g => g.appliedAt], author: ['text', g => g.author], source: ['text', g => g.source], comment: ['text', g => g.comment], 'confirm-by': ['time', g => g.confirmBy], hash: ['text', g => g.hash]
  },
  read: async () => [...await config.history()].sort((a, b) => b.generation - a.generation), tone: ({ state }) => stateTones[state]
})

const historyTable = (journal: EventJournal): DebugTable => eventTable({ name: 'history', about: 'What happened, newest first: the journal without its area audit' }, journal, ({ area }) => area !== 'audit')

const auditTable = (journal: EventJournal): DebugTable => eventTable({ name: 'audit', about: 'Who called for what, newest first: the area audit of the journal', access: 'operator' }, journal, ({ area }) => area === 'audit')

const eventTable = (of: Pick<DebugShape, 'name' | 'about'> & Partial<Pick<DebugShape, 'access'>>, journal: EventJournal, wanted: (event: NumberedEvent) => boolean): DebugTable => debugTable<NumberedEvent>({
  ...of, group: 'work', source: 'gRPC thread, journal',
  columns: {
    id: ['id', e => e.seq], at: ['time', e => e.at], level: ['text', e => e.level], area: ['text', e => e.area], event: ['text', e => e.name], object: ['text', e => e.object], leads: ['link', e => objectLink(e.object), ...new Set(Object.values(objects))],
    fields: ['text', e => Object.entries(e.fields).map(([name, value]) => `${name}=${String(value ?? '')}`).join(' ')]
  },
  read: () => {
    const events: NumberedEvent[] = []
    journal.watch(null, (event) => { if (wanted(event)) events.push(event) })()
    return events.reverse()
  },
  tone: ({ level }) => levelTones[level]
})

const kinds: ReadonlyArray<readonly [NameKind, number]> = [
  ['zone', limits.LS_ZONES_MAX], ['interface', limits.LS_IFACES_MAX], ['policy', limits.LS_POLICIES_MAX], ['vip', limits.LS_VIPS_MAX], ['real', limits.LS_REALS_MAX], ['pool', limits.LS_POOLS_MAX], ['app', limits.LS_APPS_MAX], ['domain', limits.LS_IFACES_MAX]
]

const nameTable = (names: NameBook): DebugTable => debugTable<{ readonly kind: NameKind, readonly id: number, readonly name: string }>({
  name: 'names', group: 'agent', about: 'A configured object and the number that packets know it by', source: 'gRPC thread, book of the running generation',
  columns: {
    key: ['text', ({ kind, name }) => `${kind}/${name}`], kind: ['text', ({ kind }) => kind], id: ['id', ({ id }) => id], name: ['text', ({ name }) => name],
    object: ['link', ({ kind, name }) => kind === 'vip' ? link('vips', name) : kind === 'real' ? link('reals', name) : [], 'vips', 'reals']
  },
  read: () => kinds.flatMap(([kind, most]) => Array.from({ length: most }, (_, id) => ({ kind, id, name: objectName(names, kind, id) })).flatMap(({ name, ...one }) => name === null ? [] : [{ ...one, name }]))
})
