/** Bad input ends in a clear error: exit code 1, one line that says what, where and what next; no stack, nothing left behind. Over gRPC the agent lives on. */
import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { status as grpc } from '@grpc/grpc-js'
import t from 'tap'
import { apply, ask, cannotDrop, drop, idle, isRoot, place, refusedStart, root, sources, startAgent, textOf } from './agent-process.js'

const stack = /\n\s+at /
const port = (name: string): string => idle().replace('"pcap:,/dev/null"', name)

t.jobs = 2

const texts: ReadonlyArray<readonly [string, string | Uint8Array, RegExp]> = [
  ['a capacity that is no power of two', idle().replace('1k', '3000'), /\/agent\/table\/capacity.*3000.*power of two/s],
  ['a capacity beyond the limit', idle().replace('1k', '32M'), /\/agent\/table\/capacity/],
  ['a zone that does not exist', idle().replace('zone: z,', 'zone: nowhere,'), /nowhere/],
  ['a capture file that does not exist', port('"pcap:/nonexistent/in.pcap"'), /\/nonexistent\/in\.pcap.*No such file/],
  ['a misspelt key', `${idle()}\nzoness: {}\n`, /zoness.*zones/s],
  ['a backend that has no such port, or is not built in', idle().replace('agent: {', 'agent: {backend: dpdk, instance: refused, '), /userspace/s],
  ['nothing', '', /zones|interfaces|empty|agent ready/],
  ['aliases without end', readFileSync(join(root, 'test/fixtures/config/hostile/billion-laughs.yaml')), /alias|anchor/i],
  ['NUL', `agent: {}\n\0\n${idle()}`, /NUL|character|control/i],
  ['bytes that are no UTF-8', Buffer.concat([Buffer.from(idle()), Buffer.from([0xc3, 0x28, 0xff, 0xfe])]), /UTF-8/],
  ['5 MiB', `# ${'x'.repeat(5 << 20)}\n${idle()}`, /long|large|bytes|MiB/],
  ['17 MiB', Buffer.alloc(17 << 20, 'x'), /too long.*at most/],
  ['a key of the prototype', '__proto__: {polluted: true}\nconstructor: 1\n', /unknown|no such key|__proto__/i],
  ['brackets without end', '['.repeat(100_000), /nest|deep|bracket/i]
]

for (const [what, text, expected] of texts) {
  t.test(`start with ${what}`, async t => {
    const p = place(t)
    p.write(text)
    const r = await refusedStart(t, p)
    if (what === 'nothing' && r.code === 0) return t.pass('an empty configuration forwards nothing')
    t.same([r.code, r.signal], [1, null])
    t.match(r.stderr, expected)
    t.notMatch(r.stderr, stack, 'no stack')
    t.ok(r.stderr.length < 20_000, `${r.stderr.length} characters`)
    t.same(p.leftovers(), [])
  })
}

t.test('start with a device, a pipe or a directory as configuration', async t => {
  const p = place(t)
  for (const file of ['/dev/zero', p.directory, join(p.directory, 'none'), '/proc/self/mem']) {
    const r = await refusedStart(t, { ...p, file })
    t.same([r.code, r.signal], [1, null], file)
    t.match(r.stderr, /LS_A_CONFIG_FILE|LS_C_/)
    t.notMatch(r.stderr, stack)
  }
  const pipe = join(p.directory, 'pipe')
  spawnSync('mkfifo', [pipe])
  const r = await refusedStart(t, { ...p, file: pipe })
  t.same([r.code, r.signal], [1, null], 'a pipe nobody writes to')
})

t.test('the same over gRPC: refused with INVALID_ARGUMENT, and the agent goes on', async t => {
  const p = place(t)
  p.write(idle())
  const agent = await startAgent(t, p)
  for (const [what, text] of texts) {
    if (what === 'nothing') continue
    const error = await ask(done => agent.calls.config.apply(apply(Buffer.from(text).toString('utf8')), done)).then(() => null, (e: { code: number, details: string }) => e)
    t.ok(error !== null && [grpc.INVALID_ARGUMENT, grpc.FAILED_PRECONDITION, grpc.UNIMPLEMENTED, grpc.RESOURCE_EXHAUSTED].includes(error.code), `${what}: ${error === null ? 'accepted' : `${error.code} ${error.details.slice(0, 100)}`}`)
  }
  const text = await textOf(agent)
  t.equal(text, idle(), 'what ran runs')
  t.equal(agent.child.exitCode, null)
  t.same(await agent.stop(), { code: 0, signal: null })
})

t.test('a port that does not exist', { skip: isRoot ? false : 'needs CAP_NET_ADMIN and CAP_NET_RAW: without them packet ports are refused before' }, async t => {
  const p = place(t)
  p.write(port('ls-none0'))
  const r = await refusedStart(t, p)
  t.same([r.code, r.signal], [1, null])
  t.match(r.stderr, /LS_E_NO_DEVICE.*port ls-none0.*ip -br link/)
  t.same(p.leftovers(), [])
  p.write(port('lo').replace('zone: z,', 'zone: z, netns: ls-none,'))
  t.match((await refusedStart(t, p)).stderr, /ls-none.*No such file/)
})

t.test('packet ports without privileges: the capability and what to do', { skip: cannotDrop ? 'needs setpriv and a tree that others may read' : false }, async t => {
  for (const [name, expected] of [['lo', /CAP_NET_RAW/], ['"tap:ls-tap0"', /CAP_NET_ADMIN/]] as const) {
    const p = place(t)
    p.write(port(name))
    chmodSync(p.directory, 0o1777)
    const r = await refusedStart(t, p, { prefix: drop })
    t.same([r.code, r.signal], [1, null])
    t.match(r.stderr, expected)
    t.notMatch(r.stderr, stack)
  }
})

t.test('without privileges the rest works', { skip: cannotDrop ? 'needs setpriv and a tree that others may read' : false }, async t => {
  const p = place(t)
  p.write(sources())
  // the directory must be the caller's own: nobody's when we are root
  const own = join(p.directory, 'own')
  mkdirSync(own)
  if (isRoot) spawnSync('chown', ['65534:65534', own])
  const agent = await startAgent(t, { ...p, state: join(own, 'state'), socket: join(own, 'agent.sock') }, { prefix: drop })
  t.equal((await ask<{ ok: boolean }>(done => agent.calls.sessions.verify({}, done))).ok, true)
  t.same(await agent.stop(), { code: 0, signal: null })
})

t.test('a state directory that is full', { skip: isRoot && spawnSync('unshare', ['-m', 'true']).status === 0 ? false : 'needs CAP_SYS_ADMIN for a small tmpfs' }, async t => {
  const p = place(t)
  p.write(idle('first'))
  const disk = join(p.directory, 'disk')
  mkdirSync(disk)
  // the tmpfs lives in a mount namespace of its own, which ends with this process however that ends
  const holder = spawn('unshare', ['-m', 'sh', '-c', `mount -t tmpfs -o size=64k ls-test ${disk} && echo mounted && exec cat`], { stdio: ['pipe', 'pipe', 'inherit'] })
  t.teardown(() => { holder.stdin.end() })
  await new Promise<void>(resolve => { holder.stdout.once('data', () => { resolve() }) })
  const inside = join(`/proc/${holder.pid}/root`, disk)
  const there = { ...p, state: join(disk, 'state') }
  const options = { prefix: ['nsenter', `--mount=/proc/${holder.pid}/ns/mnt`, '--'] }
  const agent = await startAgent(t, there, options)
  for (let i = 0; i < 4; i++) {
    const error = await ask(done => agent.calls.config.apply(apply(`${idle('second')}# ${'x'.repeat(60_000)}\n`), done)).then(() => null, (e: { code: number, details: string }) => e)
    t.match(error, { code: grpc.UNAVAILABLE, details: /LS_A_STATE.*(ENOSPC|no space)/i }, `${error?.code} ${error?.details}`)
  }
  t.equal(await textOf(agent), idle('first'), 'the last good one')
  await ask(done => agent.calls.config.apply(apply(idle('small')), done))
  t.equal(await textOf(agent), idle('small'), 'room is used again')
  t.same(await agent.stop(), { code: 0, signal: null })
  const again = await startAgent(t, there, options)
  t.equal(await textOf(again), idle('small'))
  t.same(await again.stop(), { code: 0, signal: null })
  rmSync(join(inside, 'state'), { recursive: true })
  spawnSync('sh', ['-c', `cat /dev/zero > ${join(inside, 'fill')}`], { stdio: 'ignore' })
  const r = await refusedStart(t, there, options)
  t.same([r.code, r.signal], [1, null])
  t.match(r.stderr, /LS_A_STATE.*ENOSPC/)
  t.notMatch(r.stderr, stack)
})

t.test('a state directory that cannot be written', { skip: cannotDrop ? 'needs setpriv and a tree that others may read' : false }, async t => {
  const p = place(t)
  p.write(idle())
  const state = join(p.directory, 'state')
  mkdirSync(state, { mode: 0o555 })
  const own = join(p.directory, 'own')
  mkdirSync(own)
  if (isRoot) spawnSync('chown', ['65534:65534', own])
  const r = await refusedStart(t, { ...p, state, socket: join(own, 'agent.sock') }, { prefix: drop })
  t.same([r.code, r.signal], [1, null])
  t.match(r.stderr, /LS_A_STATE.*state.*--state/)
  t.notMatch(r.stderr, stack)
  chmodSync(state, 0o755)
})
