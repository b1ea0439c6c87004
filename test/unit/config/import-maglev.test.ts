/** `lockstep import maglev`: what becomes of every line of /etc/vpp-maglev/maglev.yaml. */
import { join } from 'node:path'
import t from 'tap'
import { importConfig } from '../../../src/config/import/index.js'
import { runCli } from '../cli/run-cli.js'
import { brokenTexts, faultOf, placed, sourceOf } from './import-support.js'
import { desired, root } from './support.js'

const file = join(root, 'test/fixtures/import/maglev.yaml')
const text = sourceOf('maglev.yaml')
const whole = importConfig('maglev', text, { file: 'maglev.yaml' })

t.test('checks, backends and frontends become health checks and VIPs that our own parser takes', async t => {
  const d = desired(whole.yaml)
  t.match(d.healthChecks.map(({ name, type, port, intervalMs, fastIntervalMs, downIntervalMs, timeoutMs, netns }) => ({ name, type, port, intervalMs, fastIntervalMs, downIntervalMs, timeoutMs, netns })), [
    { name: 'dns', type: 'tcp', port: 53, netns: 'dataplane' },
    { name: 'ping', type: 'icmp', port: 0, intervalMs: 1000 },
    { name: 'web', type: 'http', port: 80, intervalMs: 2000, fastIntervalMs: 500, downIntervalMs: 90_000, timeoutMs: 3000 },
    { name: 'web-tls', type: 'http', port: 443 },
  ])
  t.match(d.healthChecks[2], { rise: 2, fall: 3, source: { v4: '192.0.2.253' }, http: { path: '/healthz', host: 'www.example.org', statuses: [{ from: 200, to: 204 }], body: '^ok' }, tls: null })
  t.match(d.healthChecks[3], { tls: { serverName: 'www.example.org', verify: 'none' } })
  t.match(d.vips, [
    { name: 'www', address: '198.51.100.1/32', port: 80, protocol: 6, mode: 'gre', sourceIpSticky: true, flushOnDown: false, pools: [
      { name: 'primary', reals: [{ name: 'web0', address: '192.0.2.10', weight: 100, check: 'web' }, { name: 'web1', weight: 0, check: 'web' }] },
      { name: 'fallback', reals: [{ name: 'sorry', check: 'ping' }] }] },
    { name: 'www6', address: '2001:db8:f::1/128', flushOnDown: true, pools: [{ reals: [{ weight: 10, check: 'web-tls' }] }] },
  ])
  t.equal(d.vips.length, 2)
})

t.test('what is not carried is listed with its line, in order', async t => {
  t.same(placed(whole), [
    [3, 'transition-history: 5'],
    [7, 'sync-interval: 30s'],
    [8, 'startup-min-delay: 5s'],
    [9, 'ipv4-src-address: 192.0.2.254'],
    [34, 'old: {"type":"gopher"}'],
    [38, 'web1: {"address":"192.0.2.11","healthcheck":"web","enabled":false}'],
    [41, 'spare: {"address":"192.0.2.50"}'],
    [42, 'healthcheck: old'],
    [42, 'lost: {"healthcheck":"old"}'],
    [62, 'colour: blue'],
    [63, 'nowhere: {"address":"198.51.100.9","protocol":"tcp","port":25,"pools":[{"name":"primary","backends":{"gone":{}}}]}'],
    [68, 'pools[0]: {"name":"primary","backends":{"gone":{}}}'],
    [69, 'gone: {}'],
    [null, 'healthchecks'],
    [null, 'mode: gre'],
    [null, 'policies'],
  ])
})

t.test('checks in other spellings: TLS, status codes, sources; what we cannot ask is left out and listed', async t => {
  const check = (text: string): { found: unknown, notes: string[] } => {
    const { yaml, notes } = importConfig('maglev', `maglev:\n  healthchecks:\n    c: ${text}\n`)
    return { found: desired(yaml).healthChecks[0], notes: notes.filter(({ line }) => line !== null).map(({ text: at }) => at) }
  }
  for (const [text, expected, listed] of [
    ['{type: http, params: {tls: {server-name: a, insecure-skip-verify: true}}}', { tls: { serverName: 'a', verify: 'none' } }, []],
    ['{type: HTTPS}', { type: 'http', tls: { verify: 'full' } }, []],
    ['{type: tcp, params: {ssl: true}}', { type: 'tls', tls: { verify: 'full' } }, []],
    ['{type: http, params: {response_code: [200, 301-302, 999]}}', { http: { statuses: [{ from: 200, to: 200 }, { from: 301, to: 302 }] } }, ['response_code: [200,"301-302",999]']],
    ['{type: http, params: {path: healthz, method: TRACE, regexp: "(?i)ok"}}', { http: { path: '/healthz', method: 'GET', body: null } }, ['regexp: (?i)ok', 'method: TRACE']],
    ['{type: http, probe-ipv4-src: 192.0.2.1, probe-ipv6-src: "2001:db8::1"}', { source: { v4: '192.0.2.1', v6: '2001:db8::1' } }, []],
    ['{type: icmp, port: 80, interval: 1ms, rise: 1000}', { intervalMs: 20, rise: 2 }, ['c.port: 80', 'interval: 1ms', 'rise: 1000']],
    ['{type: tcp, interval: soon, port: 0, fall: [1]}', { port: 0, intervalMs: 1000 }, ['interval: soon', 'fall: [1]']],
  ] as const) {
    const { found, notes } = check(text)
    t.match(found, expected, text)
    t.same([...notes].sort(), [...listed].sort(), text)
  }
})

t.test('an unknown key is listed wherever it stands', async t => {
  const lines = text.split('\n')
  for (const [i, line] of lines.entries()) {
    const match = /^( *)[\w-]+:$/.exec(line)
    const next = /^( *)[\w-]+:/.exec(lines[i + 1] ?? '')
    if (match === null || next === null) continue
    const odd = importConfig('maglev', [...lines.slice(0, i + 1), `${next[1] ?? ''}zz-odd: 1`, ...lines.slice(i + 1)].join('\n'))
    t.ok(odd.notes.some(note => (note.line === i + 2 && note.text === 'zz-odd: 1') || note.text.includes('"zz-odd":1')), `below line ${i + 1}: ${line}`)
  }
})

t.test('a text that is no maglev.yaml is refused with file, line and what was expected', async t => {
  for (const [source, expected] of [
    ['maglev:\n  backends: [\n', /^LS_C_IMPORT: f\.yaml:\d+: /],
    ['maglev:\n  frontends: {}\n  frontends: {}\n', /f\.yaml:3: the key is given twice: found .*frontends/],
    ['vips: {}\n', /f\.yaml:1: nothing of vpp-maglev is in it: found "vips", expected maglev: with healthchecks/],
    ['', /nothing of vpp-maglev/],
    ['a\u0000b', /f\.yaml:1: not a text: found "U\+0000", expected UTF-8/],
  ] as const) t.throws(() => importConfig('maglev', source, { file: 'f.yaml' }), { code: 'LS_C_IMPORT', message: expected }, JSON.stringify(source))
})

t.test('cut, shuffled and broken texts give YAML or our own error', async t => {
  const seed = Date.now() % 2 ** 32
  t.equal(faultOf('maglev', brokenTexts(text, seed, 300)), null, `seed ${seed}`)
})

t.test('on the command line: YAML on standard output, notes on standard error', async t => {
  const { code, out, err } = await runCli(['import', 'maglev', file])
  t.equal(code, 0)
  t.match(out, /^# From the configuration of vpp-maglev/)
  t.match(err, `${file}:62: colour: blue: not a key that this import knows`)
  t.match(err, `${file}: policies: `)
  const json = JSON.parse((await runCli(['import', 'maglev', file, '--json'])).out) as { yaml: string, notes: unknown[] }
  t.equal(json.yaml, out)
  t.equal(json.notes.length, whole.notes.length)
  t.match(await runCli(['import', 'haproxy', file]), { code: 2, err: /Allowed choices are maglev, keepalived, conntrackd/ })
  t.match(await runCli(['import', 'maglev', '-'], { stdin: 'x: 1\n' }), { code: 1, out: '', err: /stdin:1: nothing of vpp-maglev is in it/ })
  t.match(await runCli(['import', 'maglev', '/nonexistent/file']), { code: 1, err: /the file cannot be read/ })
})
