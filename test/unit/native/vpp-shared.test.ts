/** The transport through shared memory over a library that is none: fake-library.c says what VPP would, or does wrong what libvppapiclient can do wrong. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { loadCore } from '../../../src/native/load.js'
import { openShared } from '../../vpp/open-client.js'
import { transcriptOf } from '../../vpp/transcript.js'

const HEADER = 16
const root = fileURLToPath(new URL('../../../../', import.meta.url))
const compiler = ['cc', 'gcc', 'clang'].find(tool => spawnSync(tool, ['--version']).status === 0)
const dir = mkdtempSync(join(tmpdir(), 'lockstep-vac-'))
const prefix = `lockstep-test-${process.pid}`
const segments = ['global_vm', 'vpe-api'].map(part => `/dev/shm/${prefix}-${part}`)
const recorded = transcriptOf('version_ping.json').frames.find(({ msg }) => msg === 'show_version_reply_c919bde1')?.bytes.subarray(HEADER) ?? Buffer.alloc(0)

function build (name: string, ...flags: string[]): string {
  const path = join(dir, name)
  const { status, stderr } = spawnSync(compiler ?? 'cc', ['-shared', '-fPIC', '-O1', '-pthread', ...flags, join(root, 'test/vpp/fake-library.c'), '-o', path], { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
  return path
}
/** What the library does wrong from its next connect on. */
const mode = (what: string): void => { process.env['FAKE_VAC'] = what }
/** Handles of the addon keep no process alive, as a test that waits for one needs. */
const awake = setInterval(() => undefined, 1000)
const threads = (): number => readdirSync('/proc/self/task').length

t.teardown(() => {
  clearInterval(awake)
  rmSync(dir, { recursive: true, force: true })
  for (const file of segments) rmSync(file, { force: true })
})

if (compiler === undefined) t.test('shared memory', { skip: 'needs a C compiler' }, async () => undefined)
else {
  process.env['FAKE_VAC_VERSION'] = recorded.toString('hex')
  const library = build('libvppapiclient.so.1')
  for (const file of segments) writeFileSync(file, 'a segment')
  const open = async (t: Test, options = {}) => await openShared(t, library, prefix, options)

  t.test('no library, or one that is not it', async (t) => {
    await t.rejects(openShared(t, join(dir, 'none.so'), prefix), { code: 'LS_E_SYSTEM', errorClass: 'unavailable', message: /none\.so/ })
    writeFileSync(join(dir, 'text.so'), 'not ELF')
    await t.rejects(openShared(t, join(dir, 'text.so'), prefix), { code: 'LS_E_SYSTEM', message: /text\.so/ })
    await t.rejects(openShared(t, build('short.so', '-DWITHOUT_VAC_GET_MSG_INDEX'), prefix), { code: 'LS_E_UNSUPPORTED', errorClass: 'unsupported', message: /has no symbol vac_get_msg_index/ })
    await t.rejects(openShared(t, library, 'a/b'), { code: 'LS_E_INVALID' })
  })

  t.test('nobody listens: the library, which would wait for 100 s and make a segment, is not asked', async (t) => {
    await t.rejects(openShared(t, library, `${prefix}-other`), { code: 'LS_E_SYSTEM', errorClass: 'unavailable', message: /-other-global_vm: No such file/ })
  })

  t.test('answers are a real VPP\'s bytes, and ids come from the table one by one', async (t) => {
    mode('')
    const client = await open(t)
    t.equal(client.keys.size, 0)
    t.equal((await client.call('show_version_51077d14', {})).version, recorded.subarray(42, 74).toString().replace(/\0.*/s, ''))
    t.match(await client.call('control_ping_51077d14', {}), { retval: 0, vpe_pid: process.pid })
    t.same([...client.keys.keys()].sort(), ['control_ping_51077d14', 'control_ping_reply_f6b0b8ca', 'show_version_51077d14', 'show_version_reply_c919bde1'])
    t.equal(client.has('lb_conf_get_51077d14'), false)
    await t.rejects(client.call('lb_conf_get_51077d14', {}), { code: 'LS_V_UNKNOWN', errorClass: 'unsupported' })
    t.match(client.tally, { sent: 2, received: 2, strange: 0 }, 'our own pings are not among them')
    client.close()
    t.equal(await client.ended, 'closed')
  })

  t.test('one connection for a process, one library, one prefix', async (t) => {
    mode('slow-end')
    const client = await open(t)
    await t.rejects(open(t), { code: 'LS_E_BUSY', errorClass: 'unavailable', message: /already/ })
    await client.call('control_ping_51077d14', {})
    client.close()
    await t.rejects(openShared(t, build('libvppapiclient.so.2'), prefix), { code: 'LS_E_BUSY', message: /another libvppapiclient/ })
    await t.rejects(openShared(t, library, 'other'), { code: 'LS_E_BUSY', message: /prefix/ })
    mode('')
    const next = await open(t, { timeoutMs: 5000 })
    t.ok(await next.call('control_ping_51077d14', {}))
    next.close()
  })

  t.test('connecting fails: what the library said is in the error', async (t) => {
    mode('refuse')
    await t.rejects(open(t), { code: 'LS_V_GONE', errorClass: 'unavailable', detail: { found: /vac_connect failed: -1, fake: nobody answers/ } })
    mode('stranger')
    await t.rejects(open(t), { code: 'LS_V_GONE', detail: { found: /control_ping/ } })
    mode('silent')
    await t.rejects(open(t, { timeoutMs: 300 }), { code: 'LS_V_SILENT' })
    mode('slow')
    await t.rejects(open(t, { timeoutMs: 300 }), { code: 'LS_V_SILENT' })
    mode('')
    const client = await open(t, { timeoutMs: 5000 })
    t.ok(await client.call('control_ping_51077d14', {}), 'and the next one is good')
    client.close()
  })

  t.test('before VPP has answered nothing is sent', async (t) => {
    mode('silent')
    const shared = new (loadCore().VppShared)(library, prefix, 'early', () => undefined)
    await sleep(100)
    t.equal(shared.greeted(), null)
    t.equal(shared.lookup('control_ping_51077d14'), -1)
    const ping = Buffer.alloc(HEADER + 10)
    ping.writeUInt32BE(10, 8)
    t.equal(shared.send(ping), constants.errno.EAGAIN)
    t.equal(shared.over(), null)
    shared.close()
    t.throws(() => shared.take(), { code: 'LS_E_INVALID', message: /closed/ })
    shared.close()
  })

  t.test('writing fails: it is over, and says so', async (t) => {
    mode('fail')
    const client = await open(t)
    await t.rejects(client.call('control_ping_51077d14', {}), { code: 'LS_V_GONE' })
    t.equal(await client.ended, 'vac_write failed: -1')
  })

  t.test('more requests than VPP\'s queue takes', async (t) => {
    mode('')
    const client = await open(t)
    const pings = 20_000
    t.equal((await Promise.all(Array.from({ length: pings }, async () => await client.call('control_ping_51077d14', {})))).length, pings)
    t.match(client.tally, { sent: pings, received: pings, late: 0, strange: 0, timedOut: 0 })
    client.close()
  })

  t.test('VPP stops answering: what is out fails in time, its queue is never filled, and closing works', async (t) => {
    mode('deaf')
    const client = await open(t, { timeoutMs: 300 })
    const all = await Promise.allSettled(Array.from({ length: 5000 }, async () => await client.call('control_ping_51077d14', {}, 300)))
    t.ok(all.every(({ status }) => status === 'rejected'))
    client.close()
    mode('')
    const next = await open(t)
    t.ok(await next.call('control_ping_51077d14', {}), 'the thread was not caught in vac_write')
    next.close()
  })

  t.test('100 000 messages from the library\'s thread, all and in order', async (t) => {
    mode('burst')
    const core = loadCore()
    const taken: Uint8Array[] = []
    const frame = Buffer.alloc(HEADER + 10)
    frame.writeUInt32BE(10, 8)
    frame.writeUInt16BE(101, HEADER)
    frame.writeUInt32BE(7, HEADER + 6)
    await new Promise<void>((resolve) => {
      let bytes = 0
      let asked = false
      const shared = new core.VppShared(library, prefix, 'burst', () => {
        if (!asked && shared.greeted() !== null) {
          asked = true
          t.equal(shared.greeted(), 0x01020304, 'the index that the library writes over ours')
          t.equal(shared.send(frame), 0)
        }
        for (let frames = shared.take(); frames !== null; frames = shared.take()) {
          taken.push(frames)
          bytes += frames.length
        }
        if (bytes !== HEADER + 362 + 100_000 * (HEADER + 14)) return
        t.equal(shared.send(Buffer.alloc(HEADER)), constants.errno.EINVAL, 'no message in it')
        const long = Buffer.alloc(HEADER + 8193)
        long.writeUInt32BE(8193, 8)
        t.equal(shared.send(long), constants.errno.EMSGSIZE)
        shared.close()
        resolve()
      })
    })
    const all = Buffer.concat(taken)
    let disordered = 0
    for (let i = 0, at = HEADER + 362; i < 100_000; i++, at += HEADER + 14) if (all.readUInt32BE(at + 8) !== 14 || all.readUInt32BE(at + HEADER + 10) !== i) disordered++
    t.equal(disordered, 0)
  })

  t.test('a segment that is made anew ends the connection, as VPP\'s restart does', async (t) => {
    mode('')
    const client = await open(t)
    const [, file = ''] = segments
    writeFileSync(`${file}.new`, 'another')
    renameSync(`${file}.new`, file)
    t.match(await client.ended, /its segment is another/)
    t.ok(await (await open(t)).call('control_ping_51077d14', {}), 'and the new one is connected')
  })

  t.test('a hundred connections leave nothing', async (t) => {
    mode('')
    const one = async (): Promise<void> => {
      const client = await open(t)
      await client.call('control_ping_51077d14', {})
      client.close()
    }
    await sleep(100)
    await one()
    await sleep(100)
    const before = { descriptors: readdirSync('/proc/self/fd').length, threads: threads() }
    for (let i = 0; i < 100; i++) await one()
    await sleep(200)
    t.ok(readdirSync('/proc/self/fd').length <= before.descriptors + 1)
    t.ok(threads() <= before.threads, `${before.threads} threads before, ${threads()} after`)
  })
}
