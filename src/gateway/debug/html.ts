/** A page as HTML: dense, without scripts, every text escaped where it is written. */
import { isLinks, type DebugCell, type DebugColumn } from '../../contract/debug.js'
import { cellText, numberText, spanText, timeText } from '../../lib/debug-text.js'
import { printable } from '../../lib/printable.js'
import type { Page, Query, Row, Section } from './model.js'

/** Where the pages are. */
export const BASE = '/debug'
/** No agent can have this name. */
export const OWN = '-'
export const STYLE = `${BASE}/${OWN}/style.css`

const entities: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
/** For text and quoted attributes. Control characters and direction marks are shown as escapes. */
export const escape = (text: string): string => printable(text).replace(/[&<>"']/g, (c) => entities[c] ?? '')

const URL_MAX = 4000
/** `null`: no address can hold it. */
export function hrefOf (...parts: readonly string[]): string | null {
  if (parts.some(part => part === '' || part === '.' || part === '..')) return null
  const href = [BASE, ...parts.map(encodeURIComponent)].join('/')
  return href.length > URL_MAX ? null : href
}
const anchor = (href: string | null, text: string): string => href === null ? `<bdi>${escape(text)}</bdi>` : `<a href="${escape(href)}"><bdi>${escape(text)}</bdi></a>`

export function html (page: Page): string {
  const { title, refresh } = page
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">${refresh > 0 ? `<meta http-equiv="refresh" content="${refresh}">` : ''}
<title>${escape(title)}</title><link rel="stylesheet" href="${STYLE}"></head><body>
${header(page)}
${page.error === '' ? '' : `<p class="error">${escape(page.error)}</p>`}
${page.head === null || page.head.reasons.length === 0 ? '' : `<ul class="reasons">${page.head.reasons.map(reason => `<li>${escape(reason)}</li>`).join('')}</ul>`}
<main>
${page.sections.map(section => sectionHtml(page, section)).join('\n')}
</main>
${page.without.length === 0 ? '' : `<p class="without">Nothing leads here from ${page.without.map(name => anchor(hrefOf(page.agent, name), name)).join(', ')}.</p>`}
</body></html>
`
}

function header ({ agent, path, head }: Page): string {
  const crumbs = agent === '' ? [] : [agent, ...path].map((part, i, all) => anchor(hrefOf(...all.slice(0, i + 1)), part))
  const identity = head === null
    ? []
    : [`${head.node} (${head.instance})`, `version ${head.version}`, head.backend, `generation ${head.generation}`, head.state === '' ? 'the main thread does not answer' : head.state, ...head.startedAt === 0 ? [] : [`up ${spanText(head.at - head.startedAt)}`], `epoch ${head.epoch}`, `schema ${head.schema}`, `read ${timeText(head.at)}`]
  return `<header><a class="mark" href="${BASE}"><b>lock</b>step debug</a><nav>${crumbs.join(' / ')}</nav><span class="identity">${identity.map(escape).join(' · ')}</span></header>`
}

function sectionHtml (page: Page, section: Section): string {
  const { name, about, error, rows, shape, leads } = section
  const heading = `<h2>${leads === 'rows' ? anchor(hrefOf(page.agent, name), name) : escape(name)} <small>${escape(about)}</small></h2>`
  const body = error !== '' ? `<p class="error">${escape(error)}</p>` : shape === 'object' ? objectHtml(page, section) : rows.length === 0 && section.query === null ? '<p class="none">None.</p>' : tableHtml(page, section)
  return `<section id="${shape === 'object' ? 'object' : escape(name)}">${heading}\n${body}\n${footer(section)}</section>`
}

/** Of the page that a row leads to. */
function rowHref ({ agent }: Page, { name, leads }: Section, { key }: Row): string | null {
  switch (leads) {
    case 'rows': return hrefOf(agent, name, key)
    case 'tables': return hrefOf(agent, key)
    case 'agents': return hrefOf(key)
    case '': return null
  }
}

function tableHtml (page: Page, section: Section): string {
  const { columns, rows, query } = section
  const head = columns.map(column => `<th${isNumeric(column) ? ' class="n"' : ''}${sorted(query, column)}>${query === null ? escape(column.name) : `<a href="${escape(sortHref(query, column.name))}">${escape(column.name)}${mark(query, column.name)}</a>`}</th>`).join('')
  const inputs = query === null
    ? ''
    : `<tr class="filters">${columns.map(column => `<td><input form="filter" name="${escape(column.name)}" value="${escape(query.filters.get(column.name) ?? '')}" aria-label="filter ${escape(column.name)}" size="4"></td>`).join('')}</tr>`
  const body = rows.map(row => `<tr${row.tone === '' ? '' : ` class="${row.tone}"`}>${columns.map((column, i) => cellHtml(page, column, row.cells[i] ?? null, i === 0 ? rowHref(page, section, row) : null)).join('')}</tr>`).join('\n')
  const form = query === null ? '' : `<form id="filter" method="get"><input name="q" value="${escape(query.filters.get('') ?? '')}" aria-label="any column" placeholder="any column">${query.sort === '' ? '' : `<input type="hidden" name="sort" value="${escape(query.sort)}">`}<input type="hidden" name="limit" value="${query.limit}"><button>Filter</button> <a href="?">all</a> <small>part of a text, or = ! &lt; &lt;= &gt; &gt;= before it; addresses by prefix</small></form>`
  return `${form}<div class="wide"><table><thead><tr>${head}</tr>${inputs}</thead><tbody>\n${body}\n</tbody></table></div>${rows.length === 0 ? '<p class="none">No rows.</p>' : ''}`
}

function objectHtml (page: Page, { columns, rows: [row], external }: Section): string {
  const lines = columns.map((column, i) => `<tr><th>${escape(column.name)}</th>${cellHtml(page, column, row?.cells[i] ?? null, null)}</tr>`).join('\n')
  const out = external.length === 0 ? '' : `<p class="external">Elsewhere: ${external.map(({ name, url }) => `<a rel="noreferrer noopener" href="${escape(url)}">${escape(name)}</a>`).join(' ')}</p>`
  return `<table class="object${row?.tone === undefined || row.tone === '' ? '' : ` ${row.tone}`}"><tbody>\n${lines}\n</tbody></table>${out}`
}

const isNumeric = ({ type }: DebugColumn): boolean => type === 'id' || type === 'number' || type === 'bytes' || type === 'duration'

/** Numbers and times have their exact value beside what is shown. `to`: where it leads, if it is no link by itself. */
function cellHtml (page: Page, { type }: DebugColumn, cell: DebugCell, to: string | null): string {
  const text = cellText(type, cell)
  if (isLinks(cell)) return `<td>${cell.map(({ table, key }) => anchor(hrefOf(page.agent, table, key), key)).join(', ')}</td>`
  const shown = to === null ? escape(text) : `<a href="${escape(to)}">${escape(text)}</a>`
  if (typeof cell === 'number') return type === 'time' ? `<td class="t"><time datetime="${escape(isoOf(cell))}">${shown}</time></td>` : `<td class="n"><data value="${cell}">${shown}</data></td>`
  return `<td${text.length > 60 ? ` title="${escape(text)}"` : ''}>${shown}</td>`
}

function isoOf (ms: number): string {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? String(ms) : date.toISOString()
}

/** The same page with other words of the query; those that are empty go. */
function queryHref ({ filters, sort, offset, limit }: Query, change: Readonly<Record<string, string>>): string {
  const all = { ...Object.fromEntries([...filters].map(([column, text]) => [column === '' ? 'q' : column, text])), sort, offset: offset === 0 ? '' : String(offset), limit: String(limit), ...change }
  return `?${new URLSearchParams(Object.entries(all).filter(([, text]) => text !== '')).toString()}`
}
const sortHref = (query: Query, column: string): string => queryHref(query, { sort: query.sort === column ? `-${column}` : column, offset: '' })
const mark = ({ sort }: Query, column: string): string => sort === column ? ' ▲' : sort === `-${column}` ? ' ▼' : ''
const sorted = (query: Query | null, { name }: DebugColumn): string => query?.sort === name ? ' aria-sort="ascending"' : query?.sort === `-${name}` ? ' aria-sort="descending"' : ''

function footer ({ shape, rows, matched, sample, unread, tookMs, source, at, query, error }: Section): string {
  if (error !== '') return ''
  const count = shape === 'object' ? [] : [rows.length === matched ? `${numberText(matched)} ${matched === 1 ? 'row' : 'rows'}` : `${numberText(rows.length)} of ${numberText(matched)} rows`]
  const more = sample ? [unread > 0 ? `a sample: ${numberText(unread)} more were not read` : 'a sample: more were not read'] : []
  const pages = query === null ? [] : [
    ...query.offset === 0 ? [] : [`<a href="${escape(queryHref(query, { offset: query.offset > query.limit ? String(query.offset - query.limit) : '' }))}">before</a>`],
    ...query.offset + rows.length < matched || (sample && rows.length > 0) ? [`<a href="${escape(queryHref(query, { offset: String(query.offset + rows.length) }))}">next</a>`] : [],
    `<a href="${escape(queryHref(query, { format: 'json' }))}">JSON</a>`
  ]
  const facts = [...count, ...more, spanText(tookMs), source, timeText(at)].filter(fact => fact !== '').map(escape)
  return `<footer>${[...facts, ...pages].join(' · ')}</footer>`
}
