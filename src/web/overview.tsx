/** All agents at a glance, and what of them wants attention. */
import type { JSX } from 'preact'
import { Happenings } from './events.js'
import { count, short } from './format.js'
import type { LiveStore } from './store.js'
import { Age, Flash, Freshness, Panel, Spark, State, toneOf, useFeed, useStore } from './ui.js'

const TROUBLES_MAX = 40

export function Overview ({ agents }: { readonly agents: readonly string[] }): JSX.Element {
  const store = useStore()
  const troubles = agents.flatMap(agent => troublesOf(store, agent))
  return (
    <>
      <div class="cards">{agents.map(agent => <AgentCard key={agent} agent={agent} />)}</div>
      <div class="columns">
        <Panel title="Needs attention" note={<span class="faint">{count(troubles.length)}</span>}>
          {troubles.length === 0 ? <p class="empty good">● Nothing. Every agent is reached and runs, every VIP and target is up.</p> : (
            <ul class="troubles">
              {troubles.slice(0, TROUBLES_MAX).map(({ key, agent, word, what, why, href }) => <li key={key}><State word={word} /> <a href={href}><span class="agent">{agent}</span> {what}</a> <span class="faint">{why}</span></li>)}
              {troubles.length > TROUBLES_MAX && <li class="faint">and {count(troubles.length - TROUBLES_MAX)} more</li>}
            </ul>
          )}
        </Panel>
        <Panel title="Latest events" note={<a href="#/events">all</a>}><Happenings events={store.tail.filter(({ agent }) => agents.includes(agent)).slice(-12).reverse()} brief /></Panel>
      </div>
    </>
  )
}

interface Trouble { readonly key: string, readonly agent: string, readonly word: string, readonly what: string, readonly why: string, readonly href: string }

function troublesOf (store: LiveStore, agent: string): Trouble[] {
  const found: Trouble[] = []
  const add = (view: string, word: string, what: string, why: string): void => { found.push({ key: `${agent} ${what}`, agent, word, what, why, href: `#/${view}/${encodeURIComponent(agent)}` }) }
  if (store.agents.get(agent)?.connected === false) add('overview', 'unreachable', 'agent', 'not reached; what is shown of it is from before')
  for (const [, info] of store.list(agent, 'agent')) if (info.state !== 'running') add('overview', info.state, 'agent', info.reasons.join('; '))
  for (const [name, peer] of store.list(agent, 'peer')) if (peer.liveness !== 'alive') add('cluster', peer.liveness, `peer ${name}`, '')
  for (const [, group] of store.list(agent, 'group')) if (!group.ready && group.role !== 'owner') add('cluster', 'not ready', `group ${group.rg}`, group.reasons.join(', '))
  for (const [name, vip] of store.list(agent, 'vip')) if (vip.state !== 'up') add('vips', vip.state, `VIP ${name}`, vip.pool === undefined ? 'no pool serves' : `pool ${vip.pool}`)
  for (const [name, target] of store.list(agent, 'target')) if (target.state !== 'up') add('health', target.state, `target ${name}`, target.last === undefined ? '' : `${target.last.code} ${target.last.detail}`)
  for (const [name, link] of store.list(agent, 'link')) if (!link.up) add('links', 'down', `link ${name}`, '')
  return found.sort((a, b) => weight(b) - weight(a))
}
const weight = ({ word }: Trouble): number => ['calm', 'warn', 'bad'].indexOf(toneOf(word))

function AgentCard ({ agent }: { readonly agent: string }): JSX.Element {
  const store = useStore()
  const { feed, rates } = useFeed(agent, 'totals')
  const { feed: now } = useFeed(agent, 'info')
  const view = store.agents.get(agent)
  const info = store.list(agent, 'agent')[0]?.[1]
  const vips = store.list(agent, 'vip')
  const targets = store.list(agent, 'target')
  const up = (list: ReadonlyArray<readonly [string, { readonly state: string }]>): number => list.filter(([, { state }]) => state === 'up').length
  const connected = view?.connected === true
  const word = !connected ? 'unreachable' : info?.state ?? 'unknown'
  const live = now.reading.value?.tableLive
  const percent = info === undefined || live === undefined || info.tableCapacity === 0 ? 0 : live / info.tableCapacity * 100
  return (
    <section class={`card ${toneOf(word)}`} aria-label={`agent ${agent}`} data-agent={agent}>
      <header><h2>{agent}</h2><State word={word} /></header>
      {info === undefined ? <p class="empty">{connected ? 'Nothing is known of it yet.' : 'It was not reached yet.'}</p> : (
        <dl>
          <dt>Node</dt><dd>{info.node}{info.instance === 'default' ? '' : ` / ${info.instance}`}</dd>
          {info.labels.length > 0 && <><dt>Labels</dt><dd>{info.labels.map(({ name, value }) => <span key={name} class="group">{name}={value}</span>)}</dd></>}
          <dt>Backend</dt><dd>{info.backend}{info.program === undefined ? '' : ` ${info.program.up ? info.program.version : '(away)'}`} <span class="faint">{info.version}</span></dd>
          <dt>Generation</dt><dd><Flash value={info.generation}>{info.generation}</Flash></dd>
          <dt>Loop p99</dt><dd>{now.reading.value === null ? '–' : `${now.reading.value.eventLoopDelayP99Ms.toFixed(1)} ms`} <Freshness reading={now.reading} /></dd>
          <dt>Running for</dt><dd><Age at={info.startedAtMs} /></dd>
          <dt>Last contact</dt><dd>{connected ? <span>now</span> : <><Age at={view?.contactAt} /> ago</>}</dd>
          <dt>Sessions</dt><dd title={`of ${count(info.tableCapacity)} slots`}><meter min={0} max={100} high={85} value={percent} aria-label="session table" /> {count(live)} <span class="faint">{percent < 0.05 ? '' : `${percent.toFixed(1)} %`}</span></dd>
          <dt>VIPs up</dt><dd><a href={`#/vips/${encodeURIComponent(agent)}`}>{up(vips)} of {vips.length}</a></dd>
          <dt>Targets up</dt><dd><a href={`#/health/${encodeURIComponent(agent)}`}>{up(targets)} of {targets.length}</a></dd>
          <dt>Packets</dt><dd class="plot">{rates.series.has('global/rx_packets/value') && <Spark values={rates.series.get('global/rx_packets/value')?.values} />} {feed.reading.problem === '' ? short(rates.now.get('global/rx_packets/value'), '/s') : <span class="faint">no reading</span>}</dd>
          <dt>Groups</dt><dd>{store.list(agent, 'group').length === 0 ? <span class="faint">no cluster</span> : store.list(agent, 'group').map(([key, { rg, role }]) => <span key={key} class="group">{rg} <State word={role} /></span>)}</dd>
        </dl>
      )}
      {info !== undefined && info.reasons.length > 0 && <ul class="reasons" aria-label="reasons">{info.reasons.map(reason => <li key={reason}>{reason}</li>)}</ul>}
    </section>
  )
}
