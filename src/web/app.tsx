/** The frame: where one is, which agents are shown, and whether what is shown is live. The place is in the address, so that it can be sent to somebody. */
import type { JSX } from 'preact'
import { useEffect, useLayoutEffect, useState } from 'preact/hooks'
import { Bgp } from './bgp.js'
import { Checks } from './checks.js'
import { Cluster } from './cluster.js'
import { Generations, Links } from './configuration.js'
import { Events } from './events.js'
import { Overview } from './overview.js'
import { RatesView } from './rates.js'
import { Sessions } from './sessions.js'
import { age } from './format.js'
import { Age, classNames, useStore, useTick, usePage } from './ui.js'
import { Vips } from './vips.js'

const views = {
  overview: { label: 'Overview', View: Overview }, vips: { label: 'VIPs', View: Vips }, health: { label: 'Health', View: Checks }, cluster: { label: 'Cluster', View: Cluster }, bgp: { label: 'BGP', View: Bgp }, rates: { label: 'Rates', View: RatesView },
  sessions: { label: 'Sessions', View: Sessions }, events: { label: 'Events', View: Events }, links: { label: 'Links', View: Links }, configuration: { label: 'Configuration', View: Generations }
} as const
type ViewName = keyof typeof views

interface Place { readonly view: ViewName, readonly agent: string }
function placeNow (): Place {
  const [view = '', agent = ''] = window.location.hash.replace(/^#\/?/, '').split('/').map(part => { try { return decodeURIComponent(part) } catch { return '' } })
  return { view: view in views ? view as ViewName : 'overview', agent }
}
const linkTo = ({ view, agent }: Place): string => `#/${view}${agent === '' ? '' : `/${encodeURIComponent(agent)}`}`

export function App (): JSX.Element {
  const store = useStore()
  const page = usePage()
  const [place, setPlace] = useState(placeNow)
  useEffect(() => {
    const go = (): void => { setPlace(placeNow()) }
    window.addEventListener('hashchange', go)
    return () => { window.removeEventListener('hashchange', go) }
  }, [])
  const { view, agent } = place
  const { label, View } = views[view]
  const known = store.names
  const shown = agent !== '' && known.includes(agent) ? [agent] : known
  useEffect(() => {
    document.title = `${label} – Lockstep`
    document.querySelector('nav a[aria-current]')?.scrollIntoView({ block: 'nearest', inline: 'center' })
  }, [label])
  useLayoutEffect(() => {
    const { dataset } = document.documentElement
    Object.assign(dataset, { condition: page.stream.condition, seq: String(store.seq), epoch: store.epoch, gaps: String(store.gaps), connections: String(page.stream.connections), checks: String(page.drift.checks), drifts: String(page.drift.drifts) })
  })
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => { event.preventDefault(); document.getElementById('main')?.focus() }}>Skip to content</a>
      <header class="top">
        <a class="brand" href={linkTo({ view: 'overview', agent: '' })} aria-label="Lockstep, overview"><svg width="18" height="18" viewBox="0 0 16 16" aria-hidden="true"><rect x="1" y="3" width="10" height="4" rx="1" /><rect class="second" x="5" y="9" width="10" height="4" rx="1" /></svg><span>Lockstep</span></a>
        <nav aria-label="Views"><ul>{(Object.keys(views) as ViewName[]).map(name => <li key={name}><a href={linkTo({ view: name, agent })} aria-current={name === view ? 'page' : undefined}>{views[name].label}</a></li>)}</ul></nav>
        <div class="right">
          {known.length > 1 && <label class="pick"><span class="hidden">Agent</span><select value={agent} onChange={({ currentTarget }) => { window.location.hash = linkTo({ view, agent: currentTarget.value }) }}><option value="">all {known.length} agents</option>{known.map(name => <option key={name} value={name}>{name}</option>)}</select></label>}
          <Live />
        </div>
      </header>
      <main id="main" tabIndex={-1}>
        <h1 class="hidden">{label}</h1>
        {page.drift.drifts > 0 && Date.now() - page.drift.at < 300_000 && <p class="notice" role="status">▲ {page.drift.found.length} of the objects shown were not what the gateway had; everything was asked for anew <Age at={page.drift.at + store.skewMs} /> ago.</p>}
        {store.gaps > 0 && <p class="notice" role="status">▲ Messages were missing {store.gaps} times; everything was asked for anew.</p>}
        {store.seq < 0 ? <p class="boot" role="status">{page.stream.problem === '' ? 'Asking the gateway …' : `The gateway does not answer: ${page.stream.problem}`}</p> : <View agents={shown} />}
      </main>
    </>
  )
}

/** Whether the numbers are of now; else how old they are. */
function Live (): JSX.Element {
  useTick()
  const page = usePage()
  const { condition, heardAt, problem } = page.stream
  const live = condition === 'live'
  const old = Date.now() - heardAt
  return (
    <span class={classNames('live', live ? 'good' : 'bad')} title={live ? `heard ${age(old)} ago; ${page.me === null ? '' : `role ${page.me.role}`}` : problem}>
      {live ? <><span aria-hidden="true">●</span> live</> : <><span aria-hidden="true">✕</span> {page.store.seq < 0 ? 'connecting' : `not live, ${age(old)} old`}</>}
      <span class="hidden" role="status">{live ? 'The page is live' : 'The page is not live'}</span>
    </span>
  )
}
