/** START HERE for the web page: the stream feeds the store, the store feeds the views. */
import { render } from 'preact'
import { App } from './app.js'
import { DriftCheck } from './drift.js'
import { LiveStore } from './store.js'
import { Stream } from './stream.js'
import { Page, PageContext } from './ui.js'
import type { StateJson, WhoAmI } from './model.js'
import './style.css'

const store = new LiveStore(run => { requestAnimationFrame(run) })
const stream = new Stream(store, () => {
  void whoAmI()
  page.again()
})
const drift = new DriftCheck(store, stream, async () => {
  const response = await fetch('/api/state', { cache: 'no-store', signal: AbortSignal.timeout(10_000) })
  return response.ok ? await response.json() as StateJson : null
})
const page = new Page(store, stream, drift)

async function whoAmI (): Promise<void> {
  try {
    page.me = await (await fetch('/api/whoami', { cache: 'no-store' })).json() as WhoAmI
  } catch { /* asked again at the next connection */ }
  store.touch()
}

const root = document.getElementById('app')
if (root !== null) {
  root.replaceChildren()
  render(<PageContext.Provider value={page}><App /></PageContext.Provider>, root)
}
stream.start()
drift.start(() => document.visibilityState === 'visible')
