/** The command line against what goes wrong around it: full disks, readers and agents that go, numbers and names that nobody expects. */
import { spawn } from 'node:child_process'
import { openSync, closeSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { fakeId } from '../rpc/fake-sessions.js'
import { withServer } from '../rpc/with-server.js'
import { runCli, type CliResult } from './run-cli.js'
import { comesAbout } from '../../until.js'

const main = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url))

interface Ended { readonly code: number | null, readonly out: string, readonly err: string }

/** As a program of its own; `stdout` may be a file descriptor. */
function program (args: readonly string[], env: Record<string, string>, stdout: 'pipe' | number = 'pipe'): { readonly kill: (signal: NodeJS.Signals) => void, readonly ended: Promise<Ended>, readonly closeOut: () => void, readonly typed: (text: string) => Promise<void> } {
  const child = spawn(process.execPath, [main, ...args], { env: { ...process.env, ...env }, stdio: ['pipe', stdout, 'pipe'] })
  let out = ''
  let err = ''
  child.stdout?.on('data', (d: Buffer) => { out += d.toString() })
  child.stderr?.on('data', (d: Buffer) => { err += d.toString() })
  return { kill: (signal) => { child.kill(signal) }, ended: new Promise((resolve) => child.once('close', (code) => resolve({ code, out, err }))), closeOut: () => { child.stdout?.destroy() }, /** Resolves when all but what a socket holds has been read. */ typed: async (text) => { await new Promise<void>(resolve => child.stdin?.write(text, () => { resolve() })) } }
}

t.test('--json of every verb is JSON and nothing else, on a terminal, too', async (t) => {
  const { socketPath, directory } = await withServer(t, 20)
  const good = join(directory, 'good.yaml')
  writeFileSync(good, 'version: 1\n')
  const env = { LOCKSTEP_SOCKET: socketPath }
  const verbs = [
    'status', 'backend list', 'backend list --capabilities', 'version', `apply ${good} --dry-run`, `apply ${good} --confirm 5m`, 'confirm', 'rollback 1', 'save', 'history', 'compare',
    'show', 'show startup', `check ${good} --running`, 'sessions list', 'sessions list --source 192.0.2.1', 'sessions list --columns id,flags,flow', 'sessions count', `sessions get ${fakeId(3)}`,
    `sessions delete --id ${fakeId(3)}`, 'sessions delete --protocol udp --yes', 'counters', 'counters drops --zeros', 'counters --rate 10ms', 'flood', 'flood clients', 'nat', 'nat out', 'table verify'
  ]
  for (const verb of verbs) {
    const { code, out, err } = await runCli([...verb.split(' '), '--json'], { env, width: 40, color: true })
    t.equal(code, 0, `${verb}: ${err}`)
    t.doesNotThrow(() => { JSON.parse(out) }, verb)
    t.notMatch(out, /\x1b/, verb)
  }
  writeFileSync(good, 'bad')
  const refused = await runCli(['check', good, '--running', '--json'], { env })
  t.equal(refused.code, 1)
  t.match(JSON.parse(refused.out), { ok: false, issues: [{}, {}] })
  t.match(await runCli(['apply', good, '--json'], { env }), { code: 1, out: '' }, 'a refusal is text on standard error')
})

t.test('numbers and durations beyond what fits are wrong usage, not a bug', async (t) => {
  const { socketPath } = await withServer(t, 10)
  const cli = async (command: string): Promise<CliResult> => await runCli(command.split(' '), { env: { LOCKSTEP_SOCKET: socketPath } })
  for (const command of [
    'sessions count --port 99999999999', 'sessions count --rg 4294967296', 'sessions count --family 99999999999', 'sessions count --port -1', 'history --limit 99999999999',
    'sessions count --min-idle 99999999999999999999d', 'sessions watch --for 100d', 'counters --rate 25d', 'stop --timeout 1000d', 'rollback 99999999999999999999', 'apply - --confirm 99999999999999999999s'
  ]) t.match(await cli(command), { code: 2, out: '' }, command)
  for (const command of ['sessions count --port 65536', 'sessions count --rg 256', 'sessions count --family 5', 'apply - --confirm 30d']) t.match(await cli(command), { code: 1, out: '' }, command)
  t.equal((await cli('sessions count --min-age 30d')).code, 0)
})

t.test('names and comments cannot move the cursor or break a table', async (t) => {
  const { socketPath, agent, directory } = await withServer(t, 3)
  const evil = 'a\x1b[2Jb\nc\u202ed\u009b31m'
  const shown = 'a\\u{1b}[2Jb\\nc\\u{202e}d\\u{9b}31m'
  agent.names.vip[1] = evil
  agent.names.zone[1] = evil
  agent.info = { ...agent.info, state: 'degraded', reasons: [evil] }
  const file = join(directory, 'x.yaml')
  writeFileSync(file, 'version: 1\n')
  const cli = async (...args: string[]): Promise<CliResult> => await runCli(args, { env: { LOCKSTEP_SOCKET: socketPath }, color: true })
  t.match(await cli('apply', file, '--comment', evil, '--author', evil), { code: 0 })
  for (const args of [['history'], ['status'], ['sessions', 'list'], ['sessions', 'get', fakeId(1)], ['counters', 'vip'], ['flood'], ['sessions', 'count', '--vip', `x${evil}`]]) {
    const { out, err } = await cli(...args)
    t.ok((out + err).includes(args.includes('count') ? shown.replace('\\n', '\n') : shown), args.join(' '))
    t.notMatch((out + err).replace(/\x1b\[\d+m/g, ''), /[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]/, args.join(' '))
  }
})

t.test('standard output that cannot be written: exit 1 and why; a reader that goes: quiet', async (t) => {
  const { socketPath } = await withServer(t, 50_000)
  const env = { LOCKSTEP_SOCKET: socketPath }
  const full = openSync('/dev/full', 'w')
  t.match(await program(['sessions', 'list', '--limit', '0'], env, full).ended, { code: 1, err: 'error: standard output cannot be written: found ENOSPC\n' })
  closeSync(full)
  for (const args of [['sessions', 'list', '--limit', '0'], ['sessions', 'list', '--json'], ['--help'], ['status']]) {
    const gone = program(args, env)
    gone.closeOut()
    t.match(await gone.ended, { code: 0, err: '' }, args.join(' '))
  }
})

t.test('Ctrl-C ends a call that hangs, and a wait for standard input', async (t) => {
  const { socketPath, agent } = await withServer(t, 10)
  const env = { LOCKSTEP_SOCKET: socketPath }
  let asked = false
  agent.sessions.count = async () => await new Promise(() => { asked = true })
  const hanging = program(['sessions', 'count'], env)
  t.ok(await comesAbout(() => asked))
  hanging.kill('SIGINT')
  t.match(await hanging.ended, { code: 130, out: '', err: '' })
  const waiting = program(['apply', '-'], env)
  await waiting.typed('\n'.repeat(500_000))
  waiting.kill('SIGTERM')
  t.match(await waiting.ended, { code: 143, out: '', err: '' })
})

t.test('an agent that goes in the middle: exit 3, no stack', async (t) => {
  const { socketPath, server, agent } = await withServer(t, 10)
  const watching = runCli(['sessions', 'watch'], { env: { LOCKSTEP_SOCKET: socketPath } })
  t.ok(await comesAbout(() => agent.watchers() === 1))
  await server.close(0)
  const { code, err } = await watching
  t.equal(code, 3, err)
  t.match(err, /the agent stopped/)
  t.notMatch(err, /bug| at /)
})

t.test('stop signals no process that cannot be an agent', async (t) => {
  const { socketPath, agent } = await withServer(t, 10)
  for (const pid of [0, 1]) {
    agent.info = { ...agent.info, pid }
    t.match(await runCli(['stop', '--socket', socketPath]), { code: 1, err: /does not say which process/ })
  }
})

t.test('colour on a terminal only, whatever CI and FORCE_COLOR say', async (t) => {
  const { socketPath } = await withServer(t, 10)
  const { err } = await program(['sessions', 'get', 'zz'], { LOCKSTEP_SOCKET: socketPath, FORCE_COLOR: '1', CI: '1' }).ended
  t.match(err, /^error: /)
  const { out } = await program(['status'], { LOCKSTEP_SOCKET: socketPath, FORCE_COLOR: '1', CI: '1' }).ended
  t.match(out, /^state +running\n/)
})
