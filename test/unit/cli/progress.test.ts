/** Long work says how far it is, on a terminal only, and leaves no trace of that. */
import t from 'tap'
import { cliMain } from '../../../src/cli/program.js'
import { Progress } from '../../../src/cli/progress.js'
import { withServer } from '../rpc/with-server.js'
import { testIo } from './run-cli.js'
import { comesAbout } from '../../until.js'

t.test('a line that is drawn over itself: what is done, of how many, how fast', async (t) => {
  let now = 5000
  let err = ''
  const io = { errTerminal: true, err: (text: string) => { err += text } }
  const lines = (): string[] => err.split('\r\x1b[K').slice(1)
  const progress = new Progress(io, 'sessions', () => now)
  const quick = new Progress(io, 'quick', () => now)
  progress.show(10, 1000)
  now += 900
  progress.show(500, 1000)
  quick.end()
  t.equal(err, '', 'nothing within a second')
  now += 1100
  progress.show(500_000, 2_000_000)
  progress.show(500_001, 2_000_000)
  now += 2000
  progress.show(1_000_000, null)
  now += 1000
  progress.show(null, null)
  now += 1000
  progress.show(3_000_000, 2_000_000)
  progress.end()
  t.same(lines(), ['sessions: 500k of 2.0M (25 %), 250k/s', 'sessions: 1.0M, 250k/s', 'sessions, 5.0s', 'sessions: 3.0M of 2.0M (100 %), 500k/s', ''])
  err = ''
  const elsewhere = new Progress({ ...io, errTerminal: false }, 'sessions', () => now)
  now += 10_000
  elsewhere.show(1, 2)
  elsewhere.end()
  t.equal(err, '')
})

t.test('verbs: a delete of many asks how many are left; a verification counts seconds; neither without a terminal', async (t) => {
  const { agent, socketPath } = await withServer(t, 1000)
  const slow = async (argv: string, errTerminal: boolean, hold: (wait: Promise<void>) => void): Promise<{ readonly seen: boolean, readonly code: number, readonly out: string, readonly err: string }> => {
    let err = ''
    let out = ''
    let go = (): void => undefined
    hold(new Promise(resolve => { go = resolve }))
    const io = testIo({ env: { LOCKSTEP_SOCKET: socketPath }, errTerminal }, { out: async (text) => { out += text }, err: (text) => { err += text } })
    const running = cliMain(argv.split(' '), io)
    const seen = await comesAbout(() => err.includes('\r'), errTerminal ? undefined : 1500)
    go()
    return { seen, code: await running, out, err }
  }
  const ending = agent.sessions.deleteByFilter
  const holdDelete = (wait: Promise<void>): void => { Object.assign(agent.sessions, { deleteByFilter: async (...args: Parameters<typeof ending>) => { await wait; return await ending(...args) } }) }
  t.match(await slow('sessions delete --protocol udp --yes', true, holdDelete), { seen: true, code: 0, out: '250 of 250 matching sessions ended\n', err: /^\r\x1b\[Kending sessions: 0 of 250 \(0 %\), 0\/s[^]*\r\x1b\[K$/ })
  t.match(await slow('sessions delete --all --yes', false, holdDelete), { seen: false, code: 0, err: '' })
  const verify = agent.sessions.verify
  const holdVerify = (wait: Promise<void>): void => { Object.assign(agent.sessions, { verify: async () => { await wait; return await verify() } }) }
  t.match(await slow('table verify', true, holdVerify), { seen: true, code: 0, out: /^table +clean/, err: /^\r\x1b\[Kchecking every slot, \d+\.\ds[^]*\r\x1b\[K$/ })
})

t.test('sessions list into something slow says how many of how many; on a terminal the table itself is enough', async (t) => {
  const { socketPath } = await withServer(t, 20_000)
  const list = async (width: number | null): Promise<string> => {
    let err = ''
    let waited: Promise<unknown> | null = null
    const out = async (): Promise<void> => { await (waited ??= new Promise(resolve => { setTimeout(resolve, 1100) })) }
    const argv = ['sessions', 'list', '--protocol', 'udp', '--limit', '0']
    t.equal(await cliMain(argv, testIo({ env: { LOCKSTEP_SOCKET: socketPath }, errTerminal: true, width }, { out, err: (text) => { err += text } })), 0)
    return err
  }
  t.match(await list(null), /^\r\x1b\[Ksessions: [\d.]+k of 5\.0k \(\d+ %\), [\d.]+k?\/s[^]*\r\x1b\[K$/)
  t.equal(await list(100), '')
})
