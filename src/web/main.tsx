/** START HERE for the web page: the stream feeds the store, the store feeds the views. */
import { render } from 'preact'
import { App } from './app.js'
import { DriftCheck } from './drift.js'
import { LiveStore } from './store.js'
import { Stream } from './stream.js'
import { Page, PageContext } from './ui.js'
import type { WhoAmI } from './model.js'
import './style.css'

const store = new LiveStore()
const stream = new Stream(store, () => { void whoAmI() })
const drift = new DriftCheck(store, stream)
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
drift.start()
