/** When a browser shows what an agent says that happened: texts of the page with the moment of the frame that has them, and the messages as another reader of the stream gets them. */
import type { Test } from 'tap'
import type { PlainEvent } from '../../src/gateway/followed-agent.js'
import { SseParser } from '../../src/web/sse.js'
import type { Tab } from './browser.js'
import { until } from '../until.js'

export interface Sight { readonly at: number, readonly where: string, readonly text: string }

/** In the page: rows, cards and notes of panels whose text is another one, in the frame that shows it. A browser and the agents of a test have one clock. */
const recorder = `(() => {
  const texts = new Map()
  window.sighted = []
  let asked = false
  const look = () => {
    asked = false
    const at = Date.now()
    for (const one of document.querySelectorAll('section.panel > header, section.panel tbody tr, section.card, .live')) {
      const panel = one.closest('section')
      const where = [panel?.dataset.agent ?? panel?.querySelector('h2 .agent')?.textContent ?? '', one.tagName === 'TR' ? one.querySelector('th')?.innerText : (one.className || one.tagName).split(' ')[0].toLowerCase()].join(' ').replace(/\\s+/g, ' ')
      const text = one.innerText.replace(/\\s+/g, ' ')
      if (texts.get(where) === text) continue
      texts.set(where, text)
      window.sighted.push({ at, where, text })
    }
    window.sighted.splice(0, window.sighted.length - 5000)
  }
  new MutationObserver(() => { if (!asked) { asked = true; requestAnimationFrame(look) } }).observe(document.body, { subtree: true, childList: true, characterData: true })
  look()
  window.neverReloaded = true
})()`

export const record = async ({ page }: Tab): Promise<void> => { await page.evaluate(recorder) }

/** The first time from then on that the page showed it. */
export async function sighted ({ page }: Tab, where: RegExp, text: RegExp, from: number): Promise<number> {
  let at = 0
  await until(`${where.source} to be ${text.source}`, async () => {
    at = await page.evaluate(`window.sighted.find(one => one.at >= ${from} && ${where}.test(one.where) && ${text}.test(one.text))?.at ?? 0`)
    return at !== 0
  }).catch(async (error: unknown) => {
    const list = await page.evaluate('window.sighted') as Sight[]
    throw new Error(`${error instanceof Error ? error.message : String(error)}; last seen: ${list.filter(one => where.test(one.where)).slice(-5).map(one => `${one.at - from} ms ${one.text}`).join(' | ')}`)
  })
  return at
}

/** Of a gateway: its journal of an agent. */
export async function journalOf (address: string, agent: string): Promise<PlainEvent[]> {
  const state = await (await fetch(`http://${address}/api/state`)).json() as { readonly agents: Readonly<Record<string, { readonly events: PlainEvent[] }>> }
  return state.agents[agent]?.events ?? []
}

/** The latest such event, once it is there. */
export async function happened (address: string, agent: string, from: number, like: (event: PlainEvent) => boolean): Promise<PlainEvent> {
  let found: PlainEvent | undefined
  await until(`an event of ${agent}`, async () => {
    found = (await journalOf(address, agent)).find(event => event.at >= from && like(event))
    return found !== undefined
  })
  return found as PlainEvent
}

export interface Reader {
  /** Numbers of messages, as they came, and the epoch of each. */
  readonly numbers: readonly number[]
  readonly epochs: ReadonlySet<string>
}

/** A reader of the stream beside the page, over a wire that nobody cuts. */
export async function readBeside (t: Test, address: string): Promise<Reader> {
  const over = new AbortController()
  const numbers: number[] = []
  const epochs = new Set<string>()
  const response = await fetch(`http://${address}/api/stream`, { signal: over.signal })
  const reading = (async () => {
    const [decoder, parser] = [new TextDecoder(), new SseParser()]
    for await (const part of response.body ?? []) {
      for (const { id } of parser.feed(decoder.decode(part as Uint8Array, { stream: true }))) {
        if (id === '') continue
        numbers.push(Number(id.slice(id.lastIndexOf('-') + 1)))
        epochs.add(id.slice(0, id.lastIndexOf('-')))
      }
    }
  })().catch(() => { /* it was ended */ })
  t.teardown(async () => {
    over.abort()
    await reading
  })
  return { numbers, epochs }
}

/** The page was never reloaded, misses no message that another reader has, and shows every event that the gateway has, once. */
export async function lossless (t: Test, tab: Tab, address: string, back: string, beside?: Reader): Promise<void> {
  await until('the page to be live', async () => await tab.says('condition') === 'live')
  t.equal(await tab.page.evaluate('window.neverReloaded'), true, 'never reloaded')
  t.equal(await tab.says('gaps'), '0', 'no message is missing')
  if (beside !== undefined) {
    const [first = 0] = beside.numbers
    t.same([...beside.numbers], beside.numbers.map((_, i) => first + i), 'numbers have no gap')
    t.same([...beside.epochs], [await tab.says('epoch')])
    const last = beside.numbers.at(-1) ?? 0
    await until(`message ${last} in the page`, async () => Number(await tab.says('seq')) >= last)
  }
  await tab.page.evaluate("location.hash = '#/events'")
  const state = await (await fetch(`http://${address}/api/state`)).json() as { readonly agents: Readonly<Record<string, { readonly events: ReadonlyArray<{ readonly id: string }> }>> }
  const had = Object.entries(state.agents).flatMap(([agent, { events }]) => events.map(({ id }) => `${agent} ${id}`))
  let shown: string[] = []
  await until('every event to be shown', async () => {
    shown = await tab.page.evaluate("[...document.querySelectorAll('.events li')].map(item => item.dataset.id)")
    return had.every(id => shown.includes(id))
  })
  t.ok(had.length > 5, `${had.length} events`)
  t.equal(new Set(shown).size, shown.length, 'each once')
  await tab.page.evaluate(`location.hash = ${JSON.stringify(back)}`)
  t.same(tab.problems, [], 'and the console is empty')
}
