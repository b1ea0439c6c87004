/** The client against conversations of a real VPP, and against a VPP that misbehaves. */
import t, { type Test } from 'tap'
import { chmodSync, readdirSync, writeFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { VppClient} from '../../../../src/backend/vpp/client.js';
import { VppRefusal } from '../../../../src/backend/vpp/client.js'
import type { Values } from '../../../../src/backend/vpp/codec.js'
import { Codec } from '../../../../src/backend/vpp/codec.js'
import { answers, dumps, requests, structures, type DumpKey, type EventKey, type RequestKey } from '../../../../src/backend/vpp/messages.js'
import { openClient } from '../../../vpp/open-client.js'
import { replay, socketPath } from '../../../vpp/replay.js'
import { transcriptFiles, transcriptOf, type Frame, type Transcript } from '../../../vpp/transcript.js'

const HEADER = 16
const codec = new Codec(structures)
const isRequest = (key: string): key is RequestKey => key in requests
const isDump = (key: string): key is DumpKey => key in dumps
const everything = { pfx: '0.0.0.0/0', pfx_matcher: { le: 0, ge: 0 }, protocol: 0, port: 0 }

/** What a conversation asks, in words of the client, and what the real VPP answered. */
interface Asked { readonly key: RequestKey | DumpKey, readonly fields: Values, readonly answers: readonly Frame[] }
function questions ({ frames }: Transcript): Asked[] {
  return frames.flatMap((frame, i): Asked[] => {
    const { msg = '', dir, bytes, re } = frame
    const before = frames[i - 1]
    if (dir !== 'c2s' || frame.udp !== undefined || re !== undefined || bytes.readUInt16BE(HEADER) !== frame.id || (!isRequest(msg) && !isDump(msg))) return []
    if (msg === 'control_ping_51077d14' && before?.dir === 'c2s' && before.context === frame.context) return []
    const mine = frames.filter((f) => f.re === i)
    if (isRequest(msg) && mine.length !== 1) return [] // VPP was silent: the recording says why
    return [{ key: msg, fields: codec.read(isRequest(msg) ? requests[msg].fields : dumps[msg].fields, bytes, HEADER + 10, bytes.length), answers: mine }]
  })
}

async function ask (client: VppClient, { key, fields }: Asked): Promise<unknown> {
  try {
    return isDump(key) ? await client.dump(key, fields as never) : await client.call(key as RequestKey, fields as never)
  } catch (error) {
    if (error instanceof VppRefusal) return error.retval
    throw error
  }
}

function expected ({ key, answers: frames }: Asked): unknown {
  const read = (f: Frame): Values => codec.read(answers[f.msg as keyof typeof answers], f.bytes, HEADER + 6, f.bytes.length)
  if (isDump(key)) return frames.map(read)
  const [only] = frames.map(read)
  const retval = only?.['retval']
  return typeof retval === 'number' && retval < 0 ? retval : only
}

for (const [how, options] of [['a frame a write', {}], ['seven bytes a write', { pieces: 7 }]] as const) {
  t.test(`recorded conversations, ${how}`, async (t) => {
    for (const file of transcriptFiles) {
      const transcript = transcriptOf(file)
      if (how !== 'a frame a write' && transcript.frames.length > 80) continue
      await t.test(file, async (t) => {
        const server = await replay(t, transcript, options)
        const client = await openClient(t, server.path, { name: transcript.clientName })
        for (const question of questions(transcript)) t.same(await ask(client, question), expected(question), question.key)
        t.same(server.offences, [])
        t.equal(client.tally.late + client.tally.strange + client.tally.timedOut, 0)
      })
    }
  })
}

t.test('all questions of a conversation in one turn: one write, and every answer finds its question', async (t) => {
  for (const file of ['framing.json', 'lb_config.json', 'interfaces.json']) {
    const transcript = transcriptOf(file)
    const server = await replay(t, transcript)
    const client = await openClient(t, server.path)
    // dumps wait for each other, so only requests keep the order of the recording here
    const all = questions(transcript).filter(({ key }) => isRequest(key))
    const got = await Promise.all(all.map(async (question) => await ask(client, question)))
    t.same(got, all.map(expected), file)
    t.same(server.offences, [])
    client.close()
  }
})

t.test('events come beside answers, by their id alone', async (t) => {
  const transcript = transcriptOf('events.json')
  const server = await replay(t, transcript)
  const client = await openClient(t, server.path)
  const heard: unknown[] = []
  const key: EventKey = 'sw_interface_event_2d3d95a7'
  const off = client.on(key, (event) => { heard.push(event) })
  for (const question of questions(transcript)) await ask(client, question)
  const sent = transcript.frames.filter(({ msg }) => msg === key).map(({ bytes }) => codec.read(answers[key], bytes, HEADER + 6, bytes.length))
  t.ok(sent.length > 5)
  t.same(heard, sent)
  off()
})

t.test('what this VPP does not have is refused before it is sent', async (t) => {
  const server = await replay(t, transcriptOf('handshake_no_lb.json'))
  const client = await openClient(t, server.path)
  t.equal(client.has('lb_as_set_weight_2d89bdbd'), false)
  t.equal(client.keys.size, 839)
  await t.rejects(client.dump('lb_vip_dump_56110cb7', everything), { code: 'LS_V_UNKNOWN', errorClass: 'unsupported' })
  await t.rejects(client.call('lb_conf_get_51077d14', {}), { code: 'LS_V_UNKNOWN' })
  t.throws(() => client.on('want_it_event_00000000' as EventKey, () => undefined), { code: 'LS_V_UNKNOWN' })
  t.equal((await client.call('control_ping_51077d14', {})).retval, 0, 'and the connection is as good as before')
  t.same(server.offences, [])
})

/** A server that does with a connection what it likes. */
async function server (t: Test, serve: (socket: Socket) => void): Promise<string> {
  const path = socketPath(t)
  const all = new Set<Socket>()
  const it = createServer((socket) => {
    all.add(socket)
    socket.on('error', () => undefined)
    serve(socket)
  })
  await new Promise<void>((resolve) => { it.listen(path, resolve) })
  t.teardown(async () => {
    for (const socket of all) socket.destroy()
    await new Promise<void>((resolve) => { it.close(() => { resolve() }) })
  })
  return path
}

t.test('nobody there', async (t) => {
  const dir = dirname(socketPath(t))
  writeFileSync(`${dir}/file`, 'not a socket')
  await t.rejects(openClient(t, `${dir}/api.sock`), { code: 'LS_E_SYSTEM', errorClass: 'unavailable', message: /No such file/ })
  await t.rejects(openClient(t, `${dir}/file`), { code: 'LS_E_SYSTEM', message: /refused/ })
  await t.rejects(openClient(t, `/${'x'.repeat(200)}`), { code: 'LS_E_INVALID' })
  await t.rejects(openClient(t, `${dir}/api.sock`, { name: 'x'.repeat(64) }), { code: 'LS_V_NAME' })
})

const root = process.getuid?.() === 0
t.test('a socket that is not for us', { skip: root ? 'root may connect to every socket: needs another user' : false }, async (t) => {
  const path = await server(t, () => undefined)
  chmodSync(path, 0)
  await t.rejects(openClient(t, path), { code: 'LS_E_PERMISSION', errorClass: 'unavailable', message: /Permission denied/ })
})

t.test('one that accepts and is silent', async (t) => {
  await t.rejects(openClient(t, await server(t, () => undefined), { timeoutMs: 200 }), { code: 'LS_V_SILENT', detail: { object: 'sockclnt_create' } })
})

t.test('one that closes at once', async (t) => { await t.rejects(openClient(t, await server(t, (socket) => { socket.destroy() })), { code: 'LS_V_GONE' }) })

t.test('what is not VPP', async (t) => {
  const path = await server(t, (socket) => { socket.on('data', () => { socket.write('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n') }) })
  await t.rejects(openClient(t, path, { timeoutMs: 300 }), { code: 'LS_V_GONE', message: /too long/i }, 'its text read as a length is longer than any frame')
})

t.test('a request that is not answered fails in time; the answer that comes later is nobody\'s', async (t) => {
  const held: Buffer[] = []
  const vpp = await replay(t, transcriptOf('version_ping.json'), { alter: (frame, { msg }) => { if (msg !== 'show_version_reply_c919bde1') return frame; held.push(frame); return null } })
  const client = await openClient(t, vpp.path, { timeoutMs: 300 })
  await t.rejects(client.call('show_version_51077d14', {}), { code: 'LS_V_SILENT', errorClass: 'unavailable', detail: { object: 'show_version' } })
  t.equal(held.length, 1)
  t.match(client.tally, { timedOut: 1, late: 0 })
  t.ok((await client.call('show_vpe_system_time_51077d14', {})).vpe_system_time > 1e9, 'and others go on')
})

t.test('answers that are late, of nobody, of another kind, or too short', async (t) => {
  const rewritten = (at: number, value: number) => (frame: Buffer): Buffer => { frame.writeUInt32BE(value, HEADER + at); return frame }
  const of = (change: (frame: Buffer) => Buffer) => ({ alter: (frame: Buffer, { msg }: Frame) => msg === 'show_version_reply_c919bde1' ? change(frame) : frame })
  const cases: ReadonlyArray<readonly [string, (frame: Buffer) => Buffer, { code: string }, Partial<VppClient['tally']>]> = [
    ['a context that nobody uses', rewritten(2, 0x7000_0000), { code: 'LS_V_SILENT' }, { strange: 1 }],
    ['a context of before', rewritten(2, 1), { code: 'LS_V_SILENT' }, { late: 1 }],
    ['another message', (frame) => { frame.writeUInt16BE(24, HEADER); return frame }, { code: 'LS_V_PROTOCOL' }, {}],
    ['an id that nobody has', (frame) => { frame.writeUInt16BE(65535, HEADER); return frame }, { code: 'LS_V_PROTOCOL' }, {}],
    ['half of it', (frame) => { const half = Buffer.from(frame.subarray(0, 100)); half.writeUInt32BE(100 - HEADER, 8); return half }, { code: 'LS_V_SHORT' }, {}],
    ['less than a header', (frame) => { const bit = Buffer.from(frame.subarray(0, HEADER + 3)); bit.writeUInt32BE(3, 8); return bit }, { code: 'LS_V_SILENT' }, { strange: 1 }],
    ['nothing', () => Buffer.alloc(HEADER), { code: 'LS_V_SILENT' }, { strange: 1 }]
  ]
  for (const [what, change, error, tally] of cases) {
    const vpp = await replay(t, transcriptOf('version_ping.json'), of(change))
    const client = await openClient(t, vpp.path, { timeoutMs: 300 })
    await t.rejects(client.call('show_version_51077d14', {}), error, what)
    t.match(client.tally, tally, what)
    t.ok(await client.call('show_vpe_system_time_51077d14', {}), `after ${what} the connection goes on`)
    client.close()
    await vpp.close()
  }
})

t.test('closed in the middle of a dump: what was asked fails at once, and it is told once', async (t) => {
  for (const cutAfter of [2, 4]) {
    const vpp = await replay(t, transcriptOf('interfaces.json'), { cutAfter })
    const client = await openClient(t, vpp.path, { timeoutMs: 5000 })
    const asked = questions(transcriptOf('interfaces.json')).slice(0, 8).map(async (question) => await ask(client, question).then(() => 'answered', (error: unknown) => (error as { code: string }).code))
    const got = await Promise.all(asked)
    t.ok(got.includes('LS_V_GONE'), got.join(' '))
    t.equal(got.lastIndexOf('answered') < got.indexOf('LS_V_GONE') || got.lastIndexOf('answered') === -1, true, 'in order')
    t.match(await client.ended, /closed the connection|reset/)
    await t.rejects(client.call('control_ping_51077d14', {}), { code: 'LS_V_GONE' })
    await vpp.close()
  }
})

t.test('more requests than are let out at a time', async (t) => {
  const pings = 5000
  const greeting = transcriptOf('handshake.json').frames[1]?.bytes ?? ''
  let most = 0
  const path = await server(t, (socket) => {
    let rest = Buffer.alloc(0)
    socket.on('data', (data) => {
      rest = Buffer.concat([rest, data])
      let n = 0
      while (rest.length >= HEADER && rest.length >= HEADER + rest.readUInt32BE(8)) {
        const end = HEADER + rest.readUInt32BE(8)
        const frame = rest.subarray(0, end)
        rest = rest.subarray(end)
        if (frame.readUInt16BE(HEADER) === 15) socket.write(greeting)
        else {
          const answer = Buffer.alloc(HEADER + 18)
          answer.writeUInt32BE(18, 8)
          answer.writeUInt16BE(24, HEADER)
          answer.writeUInt32BE(frame.readUInt32BE(HEADER + 6), HEADER + 2)
          socket.write(answer)
          n++
        }
      }
      most = Math.max(most, n)
    })
  })
  const client = await openClient(t, path)
  const all = await Promise.all(Array.from({ length: pings }, async () => await client.call('control_ping_51077d14', {})))
  t.equal(all.length, pings)
  t.ok(most <= 1024, `${most} at a time`)
  t.match(client.tally, { sent: pings, late: 0, strange: 0, timedOut: 0 })
})

t.test('a thousand connections leave nothing', async (t) => {
  const vpp = await replay(t, transcriptOf('handshake.json'))
  const descriptors = (): number => readdirSync('/proc/self/fd').length
  const threads = (): number => readdirSync('/proc/self/task').length
  const one = async (): Promise<void> => {
    const client = await openClient(t, vpp.path)
    await client.call('control_ping_51077d14', {})
    client.close()
  }
  for (let i = 0; i < 50; i++) await one()
  await sleep(50)
  const before = { descriptors: descriptors(), threads: threads() }
  for (let i = 0; i < 1000; i++) await one()
  await sleep(50)
  t.ok(descriptors() <= before.descriptors + 2, `${before.descriptors} descriptors before, ${descriptors()} after`)
  t.equal(threads(), before.threads)
})
