/** Reports over HTTP and into a file: what a receiver sees, what answers mean, what is found again. */
import { createHmac } from 'node:crypto'
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { Outlet } from '../../../../src/bgp/reporting/outlet.js'
import { FileSink } from '../../../../src/bgp/sinks/file.js'
import { WebhookSink, retryAfter } from '../../../../src/bgp/sinks/webhook.js'
import type { BgpReport } from '../../../../src/contract/bgp.js'
import { KeptLog, MovedClock, look, neighbour, until } from '../reporting/world.js'

const report = (subject: string): BgpReport => ({ subject, state: 'up', rttNs: 5, cause: 'changed', decidedAt: 0 })
const batch = [report('default/192.0.2.1'), report('red/2001:db8::1')]
const never = new AbortController().signal

t.test('a webhook: signed, keyed, repeated byte by byte, and each answer has its meaning', async t => {
  const directory = mkdtempSync(join(tmpdir(), 'bgpw-'))
  const seen: Array<{ readonly headers: IncomingHttpHeaders, readonly body: string }> = []
  let status = 200
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', part => { body += String(part) }).on('end', () => {
      seen.push({ headers: request.headers, body })
      if (status === 0) request.socket.destroy()
      else response.writeHead(status, status === 429 ? { 'retry-after': '7' } : {}).end('x'.repeat(100_000))
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`
  writeFileSync(join(directory, 'secret'), '0123456789abcdef\n', { mode: 0o600 })
  const sink = new WebhookSink({ type: 'webhook', name: 'hook', url, secretFile: join(directory, 'secret'), timeoutMs: 5000, batch: 10 }, 'n1', () => 1_800_000_000_000)
  await sink.start()
  const { ticket, send } = await sink.prepare(batch)
  t.match(await send(never), [{ kind: 'landed' }, { kind: 'landed' }])
  const [first] = seen
  t.equal(first?.headers['lockstep-signature'], `v1=${createHmac('sha256', '0123456789abcdef').update(`1800000000.${first?.body}`).digest('hex')}`)
  t.match(JSON.parse(first?.body ?? ''), { version: 1, node: 'n1', reports: [{ vrf: 'default', peer: '192.0.2.1', state: 'up' }, { vrf: 'red', peer: '2001:db8::1' }] })
  const answers = [[400, { kind: 'permanent' }], [302, { kind: 'permanent' }], [409, { kind: 'permanent' }], [429, { kind: 'transient', afterMs: 7000 }], [503, { kind: 'transient', afterMs: null }], [500, { kind: 'uncertain' }], [0, { kind: 'uncertain' }]] as const
  for (const [answer, outcome] of answers) {
    status = answer
    t.match((await (await sink.prepare(batch)).send(never))[0], outcome, `a first try: ${answer}`)
    t.match((await sink.resolve(ticket, batch, never))[0], { kind: 'uncertain', ...answer === 429 ? { afterMs: 7000 } : {} }, `a repeat: ${answer} says nothing of the try before`)
    t.same([seen.at(-1)?.body, seen.at(-1)?.headers['idempotency-key']], [first?.body, ticket])
  }
  status = 204
  t.match((await sink.resolve(ticket, batch, never))[0], { kind: 'landed' }, 'taken, by this try or the one before')
  server.closeAllConnections()
  await new Promise<void>(resolve => server.close(() => { resolve() }))
  t.match((await (await sink.prepare(batch)).send(never))[0], { kind: 'transient' }, 'nobody listens: it did not arrive')
  t.match((await sink.resolve(ticket, batch, never))[0], { kind: 'uncertain' }, 'nobody listens to the repeat')
  t.same([retryAfter('x', 0), retryAfter('99999999', 0), retryAfter('Thu, 01 Jan 1970 00:00:09 GMT', 0)], [null, 3_600_000, 9000])
  rmSync(directory, { recursive: true })
})

t.test('a file: lines, a rotated file begun anew, a torn line, and what was written is found again', async t => {
  const directory = mkdtempSync(join(tmpdir(), 'bgpf-'))
  const path = join(directory, 'bgp.jsonl')
  const sink = new FileSink({ type: 'file', name: 'log', path }, 'n1')
  await sink.start()
  const one = await sink.prepare(batch)
  t.match(await one.send(never), [{ kind: 'landed' }, { kind: 'landed' }])
  renameSync(path, `${path}.1`)
  writeFileSync(path, '{"torn')
  const two = await sink.prepare(batch.slice(0, 1))
  await two.send(never)
  const lines = readFileSync(path, 'utf8').split('\n')
  t.equal(lines.length, 3)
  t.match(JSON.parse(lines[1] ?? ''), { node: 'n1', vrf: 'default', peer: '192.0.2.1', state: 'up', line: 0 })
  t.match(await sink.resolve(one.ticket, batch), [{ kind: 'landed' }, { kind: 'landed' }], 'in the rotated file')
  t.match(await sink.resolve('another', batch), [{ kind: 'transient', afterMs: 0 }, { kind: 'transient', afterMs: 0 }])
  rmSync(directory, { recursive: true })
})

t.test('a webhook that breaks, then refuses, then takes it: one key all the time, and it is not asked before it wants to be', async t => {
  const directory = mkdtempSync(join(tmpdir(), 'bgpw-'))
  const clock = new MovedClock()
  const keys: string[] = []
  const statuses = [500, 429, 404, 200]
  const server = createServer((request, response) => {
    keys.push(String(request.headers['idempotency-key']))
    request.resume().on('end', () => { response.writeHead(statuses.shift() ?? 200, { 'retry-after': '90' }).end() })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const outlet = new Outlet({
    sink: new WebhookSink({ type: 'webhook', name: 'hook', url, secretFile: null, timeoutMs: 5000, batch: 10 }, 'n1', () => clock.now()), target: 'hook', directory, clock, random: () => 1, log: new KeptLog(), wantsLook: () => {},
    timing: { graceMs: 0, debounceMs: 0, refreshMs: 1e9, jitter: 0, spacingMs: 0 },
  })
  t.teardown(async () => {
    await outlet.stop()
    server.closeAllConnections()
    await new Promise<void>(resolve => server.close(() => { resolve() }))
    rmSync(directory, { recursive: true })
  })
  outlet.start()
  await until(() => outlet.tallies().stage === 'ready', 'ready')
  await outlet.tick(look([neighbour('192.0.2.1', 'up')]))
  const stands = async (answered: number, waitMs: number): Promise<void> => {
    await until(() => keys.length === answered && (outlet.pending()[0]?.retryAt ?? 0) === clock.now() + waitMs, `${answered} answers`)
    t.match(outlet.pending(), [{ stage: 'uncertain', attempts: 1 }])
    await clock.move(waitMs - 1)
    t.equal(keys.length, answered, 'not sooner')
    await clock.move(1)
  }
  await stands(1, 1000)
  await stands(2, 90_000)
  await stands(3, 4000)
  await until(() => outlet.pending().length === 0, 'taken')
  t.same([keys.length, new Set(keys).size], [4, 1])
})
