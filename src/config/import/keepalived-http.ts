/** HTTP_GET and SSL_GET: the first `url` is asked. */
import type { RawHealthCheck, Scalar } from '../raw.js'
import { noteOn, remarkOn, Section, type Directive } from './blocks.js'
import { bodyFault, hostFault, pathFault } from './http-values.js'
import { reasonsOf } from './notes.js'

const reasons = reasonsOf([
  ['digest', 'a digest of the answer has no equivalent: the status is judged; `http.body` takes a regular expression'],
  ['regex_options regex_stack regex_min_offset regex_max_offset', 'the expression is a JavaScript one with flag u, matched anywhere in the answer; (?i) and its like do not exist'],
])

type Http = Pick<RawHealthCheck, 'http' | 'tls'>

export function httpOf (section: Section, d: Directive, virtualhost: string | null): Http {
  const { notes } = section
  const [first, ...more] = section.all('url')
  for (const url of more) noteOn(notes, url, 'a check asks one URL, the first one; put one that speaks for all of them there, or use type exec')
  const sni = section.last('enable_sni')
  const inside = new Section(notes, first?.block ?? [])
  const host = inside.last('virtualhost')?.words[1] ?? virtualhost
  const path = pathOf(inside)
  const status = statusOf(inside)
  const body = bodyOf(inside)
  inside.rest(reasons)
  if (sni !== null && host === null) noteOn(notes, sni, 'no virtualhost says which name to send; left out')
  const wrongHost = host === null ? null : hostFault(host)
  if (wrongHost !== null) remarkOn(notes, d, `virtualhost ${host ?? ''}: ${wrongHost}`)
  const usableHost = wrongHost === null ? host : null
  return {
    http: { ...(path === '/' ? {} : { path }), ...(usableHost === null ? {} : { host: usableHost }), status, ...(body === null ? {} : { body }) },
    // keepalived takes any certificate.
    ...(d.key === 'SSL_GET' ? { tls: { verify: 'none' as const, ...(sni !== null && usableHost !== null ? { 'server-name': usableHost } : {}) } } : {}),
  }
}

function pathOf (url: Section): string {
  const d = url.last('path')
  const text = d?.words[1] ?? '/'
  const wrong = pathFault(text)
  if (wrong === null) return text
  if (d !== null) noteOn(url.notes, d, wrong)
  return '/'
}

/** keepalived's default is 200-299, ours is wider: so it is always written. */
function statusOf (url: Section): Scalar | Scalar[] {
  const d = url.last('status_code')
  const words = (d?.words.slice(1) ?? []).flatMap(word => word.split(',')).filter(word => word !== '')
  const known = words.filter(word => {
    const match = /^(\d{3})(?:-(\d{3}))?$/.exec(word)
    return match !== null && Number(match[1]) >= 100 && Number(match[1]) <= Number(match[2] ?? match[1]) && Number(match[2] ?? match[1]) <= 599
  })
  if (d !== null && known.length < words.length) noteOn(url.notes, d, 'not all of these are codes from 100 to 599; those are left out')
  if (known.length === 0) return '200-299'
  const codes = known.map(word => /^\d+$/.test(word) ? Number(word) : word)
  return codes.length > 1 ? codes : codes[0] ?? ''
}

function bodyOf (url: Section): string | null {
  const d = url.last('regex')
  const not = url.last('regex_no_match')
  if (not !== null) noteOn(url.notes, not, 'a match cannot be a failure: the expression is left out; write one that what is well matches')
  if (d === null) return null
  const text = d.words[1] ?? ''
  if (not !== null) {
    noteOn(url.notes, d, 'left out, for regex_no_match')
    return null
  }
  const wrong = bodyFault(text)
  if (wrong === null) return text
  noteOn(url.notes, d, wrong)
  return null
}
