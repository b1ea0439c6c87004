/** The connection as a unit: what comes up together goes down together, every life is told once, and what cannot be had is tried again. */
import t, { type Test } from 'tap'
import { setTimeout as sleep } from 'node:timers/promises'
import { retryMs, VppConnection, type VppLife } from '../../../../src/backend/vpp/connection.js'
import { openClient } from '../../../vpp/open-client.js'
import { replay, socketPath } from '../../../vpp/replay.js'
import { transcriptOf } from '../../../vpp/transcript.js'
import { until as comeAbout } from '../../../until.js'

interface Segment { closed: boolean, readonly close: () => void }

interface Rig {
  readonly connection: VppConnection<Segment>
  readonly log: string[]
  readonly segments: Segment[]
  readonly until: (what: string) => Promise<void>
}

function rig (t: Test, path: string, { attach = () => null, onUp = async () => undefined, timeoutMs = 300 }: { readonly attach?: () => string | null, readonly onUp?: (life: VppLife<Segment>) => Promise<void>, readonly timeoutMs?: number } = {}): Rig {
  const log: string[] = []
  const segments: Segment[] = []
  const connection = new VppConnection<Segment>({
    connect: async (signal) => await openClient(t, path, { timeoutMs, signal }),
    attach: () => {
      const refused = attach()
      if (refused !== null) throw new Error(refused)
      const segment: Segment = { closed: false, close: () => { segment.closed = true } }
      segments.push(segment)
      return segment
    },
    onUp: async (life) => {
      await onUp(life)
      log.push(`up ${life.identity.version.slice(0, 5)} ${life.identity.pid}`)
    },
    onDown: (reason) => { log.push(`down ${reason}`) },
    nowMs: () => performance.now(), random: () => 0, livenessMs: 50
  })
  t.teardown(async () => { await connection.close() })
  const until = async (what: string): Promise<void> => {
    await comeAbout(() => `${what}: ${log.join(' | ')}; ${JSON.stringify(connection.state)}`, () => log.at(-1)?.startsWith(what) === true)
  }
  return { connection, log, segments, until }
}

/** One that answers a version and pings for as long as it likes. */
const alive = transcriptOf('version_ping.json')
const { frames } = alive
const ping = frames.find(({ msg }) => msg === 'control_ping_51077d14')
const pong = frames.find(({ msg }) => msg === 'control_ping_reply_f6b0b8ca')
const version = frames.filter(({ msg = '' }) => msg.startsWith('show_version'))
const create = frames.slice(0, 2)
if (ping === undefined || pong === undefined) throw new Error('no ping in the recording')
const pings = (n: number): typeof frames => Array.from({ length: n }, (_, i) => [{ ...ping, i: 2 * i }, { ...pong, re: 4 + 2 * i }]).flat()
const long = { ...alive, frames: [...create, ...version.map((f, i) => i === 0 ? f : { ...f, re: 2 }), ...pings(400)] }

t.test('a life: told once, with what VPP says of itself', async (t) => {
  const vpp = await replay(t, long)
  const { connection, log, until } = rig(t, vpp.path)
  t.throws(() => connection.up, { code: 'LS_V_DOWN' })
  await connection.start()
  await until('up')
  t.match(connection.state, { state: 'up', identity: { version: /^26\.10/, messages: 1096 } })
  await sleep(300)
  t.equal(log.length, 1)
  t.same(vpp.offences, [])
})

t.test('both or none: without statistics there is no connection', async (t) => {
  const vpp = await replay(t, long)
  let broken = true
  const { connection, log, until, segments } = rig(t, vpp.path, { attach: () => broken ? 'no segment' : null })
  await connection.start()
  t.match(connection.state, { state: 'down', reason: 'no segment', tries: 1 })
  await sleep(200)
  t.ok(vpp.connections() >= 2, 'tried again')
  t.same(log, [], 'a life that never began is not told')
  broken = false
  await until('up')
  vpp.cut()
  await until('down')
  t.equal(segments.at(-1)?.closed, true)
  await until('up')
  t.equal(segments.length, 2)
})

t.test('a VPP that hangs is gone after a ping without an answer', async (t) => {
  let hangs = false
  const vpp = await replay(t, long, { alter: (frame) => hangs ? null : frame })
  const { connection, until } = rig(t, vpp.path)
  await connection.start()
  await until('up')
  hangs = true
  await until('down')
  t.match(connection.state, { state: 'down', reason: /LS_V_SILENT/ })
  hangs = false
  await until('up')
})

t.test('what its user cannot bring to it ends the life, and the next one is tried', async (t) => {
  const vpp = await replay(t, long)
  let refused = 2
  const { connection, log, until } = rig(t, vpp.path, { onUp: async () => { if (refused-- > 0) throw new Error('it takes nothing') } })
  await connection.start()
  t.match(connection.state, { state: 'down', reason: 'it takes nothing' })
  await until('up')
  t.same(log.slice(0, 2), ['down it takes nothing', 'down it takes nothing'])
})

t.test('nobody there, for a while', async (t) => {
  const path = socketPath(t)
  const { connection, log } = rig(t, path)
  await connection.start()
  t.match(connection.state, { state: 'down', reason: /No such file/ })
  await sleep(400)
  const { state } = connection
  t.ok(state.state === 'down' && state.tries >= 2)
  t.same(log, [])
  await connection.close()
  const tries = connection.state.state === 'down' ? connection.state.tries : 0
  await sleep(300)
  t.equal(connection.state.state === 'down' ? connection.state.tries : 0, tries, 'closed is closed')
})

t.test('closed in the middle of a connection that comes up', async (t) => {
  const vpp = await replay(t, long)
  let coming = (): void => undefined
  let goOn = (): void => undefined
  const comes = new Promise<void>((resolve) => { coming = resolve })
  const on = new Promise<void>((resolve) => { goOn = resolve })
  const { connection, log } = rig(t, vpp.path, { onUp: async () => { coming(); await on } })
  const starting = connection.start()
  await comes
  const closing = connection.close()
  goOn()
  await closing
  await starting
  t.equal(connection.state.state, 'down')
  t.ok(log.includes('down closed'), log.join())
})

t.test('closed while nobody answers the greeting: at once', async (t) => {
  const vpp = await replay(t, long, { alter: () => null })
  const { connection } = rig(t, vpp.path, { timeoutMs: 60_000 })
  const starting = connection.start()
  await sleep(50)
  await connection.close()
  await starting
  t.match(connection.state, { state: 'down' })
})

t.test('waits double up to five seconds, and at least half of each is waited', async (t) => {
  t.same([0, 1, 2, 5, 6, 20].map((n) => [retryMs(n, 0), retryMs(n, 1)]), [[50, 100], [100, 200], [200, 400], [1600, 3200], [2500, 5000], [2500, 5000]])
})
