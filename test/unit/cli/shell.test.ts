/** The shell: lines of a script, words as a POSIX shell quotes them, and on a terminal completion, help, history, Ctrl-C, and an agent that goes and comes back. */
import { spawn } from 'node:child_process'
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { History, HISTORY_MAX, historyPath } from '../../../src/cli/shell/history.js'
import { words as promptWords } from '../../../src/cli/shell/prompt.js'
import { parseLine } from '../../../src/cli/shell/words.js'
import { plainObject } from '../../../src/client/index.js'
import { AgentGetInfoResponse, AgentState } from '../../../src/generated/proto/lockstep/v1/agent.js'
import { ClusterGroup, RgRole } from '../../../src/generated/proto/lockstep/v1/cluster.js'
import { startRpcServer } from '../../../src/rpc/server.js'
import { temporaryDirectory, withServer, type Running } from '../rpc/with-server.js'
import { noPty, onTerminal, type Pty } from './pty.js'
import { runCli, type CliResult } from './run-cli.js'
import { comesAbout } from '../../until.js'

const main = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url))

t.test('words are quoted as in a POSIX shell, and nothing else is done with them', async (t) => {
  const words = (text: string): string[] => parseLine(text).words.map(word => word.text)
  for (const [text, expected] of [
    ['', []], ['  a\tb  ', ['a', 'b']], [`'a b' "c d" e\\ f`, ['a b', 'c d', 'e f']], [`a'b'"c"d`, ['abcd']], [`"a\\"b\\\\c\\d"`, ['a"b\\c\\d']], [`'a\\b'`, ['a\\b']], [`'' ""`, ['', '']],
    ['a # b', ['a']], ['a#b "#7"', ['a#b', '#7']], ['real put api [2001:db8::7]:8443 10.0.0.8=50', ['real', 'put', 'api', '[2001:db8::7]:8443', '10.0.0.8=50']], ['*.y ?', ['*.y', '?']], [`'a;b' "c>d" e\\$f`, ['a;b', 'c>d', 'e$f']]
  ] as const) t.same(words(text), expected, text)
  for (const [text, open] of [[`a 'b c`, "'"], ['a "b', '"'], ['a\\', '\\'], ['"a\\"', '"'], ['a', null]] as const) t.equal(parseLine(text).open, open, text)
  t.match(parseLine('a b | grep "x y" | head'), { words: [{ text: 'a' }, { text: 'b', at: 2 }], pipe: 'grep "x y" | head' })
  t.equal(parseLine(`a 'b|c'`).pipe, null)
  t.same([parseLine('a').inWord, parseLine('a ').inWord, parseLine('a ""').inWord], [true, false, true])
  for (const text of ['a > b', 'a; b', 'a && b', 'a $(b)', 'a $b', 'a `b`']) t.throws(() => parseLine(text), { code: 'LS_U_USAGE' }, text)
})

t.test('a script runs line by line over one connection, until one fails', async (t) => {
  const running = await withServer(t, 12)
  const shell = async (stdin: string, ...more: string[]): Promise<CliResult> => await runCli(['shell', '--socket', running.socketPath, ...more], { stdin })
  t.match(await shell('# counts\nsessions count\n\nlockstep sessions count --protocol udp  # those\nsessions count | sed s/^/n=/\n'), { code: 0, out: '12\n3\nn=12\n', err: '' })
  t.match(await shell('sessions count\nsessions get zz\nsessions count\n'), { code: 1, out: '12\n', err: /32 hexadecimal digits[^]*line 2 ended with 1; the rest was not run/ })
  t.match(await shell(`sessions get ${'0'.repeat(32)}\nnonsense\nsessions count\n`, '--keep-going'), { code: 2, out: '12\n', err: /line 1 ended with 4\n[^]*line 2 ended with 2\n$/ })
  t.match(await shell('sessions count\nexit\nsessions get zz\n'), { code: 0, out: '12\n', err: '' })
  for (const line of ['run x.yaml', 'gateway', 'bench table', 'lab', 'quickstart', 'shell']) t.match(await shell(line), { code: 2, out: '', err: new RegExp(`${line.split(' ')[0] ?? ''} does not run in this shell: .*in another terminal: lockstep ${line}`) }, line)
  t.match(await shell('run --help'), { code: 0, out: /Usage: lockstep run/ })
  t.match(await shell(`sessions get 'ab`), { code: 2, err: /a quote is open: '/ })
  t.match(await shell('show > x'), { code: 2, err: /found >.*tee FILE/ })
  t.match(await shell('apply -'), { code: 2, err: /standard input is the shell's own/ })
  t.match(await shell('sessions count |'), { code: 2, err: /nothing stands behind/ })
  t.match(await shell('sessions list --limit 0 | head -n 1'), { code: 0, out: /^PROTO[^\n]*\n$/ })
  t.match(await shell('sessions list --limit 0 | true\nsessions list --limit 0 | exit 3'), { code: 3, err: 'line 2 ended with 3; the rest was not run (--keep-going would)\n' }, 'a reader that goes early is no failure, but its exit code counts')
  t.match(await shell('sessions count | grep nothing'), { code: 1, out: '' })
  t.match(await shell('target ?'), { code: 0, out: /^ {2}list +Show who is probed[^]*pause/ })
  t.match(await shell('vip list ?'), { code: 0, out: /\[name\][^]* {2}web +vip\n[^]*--json/ })
  t.match(await runCli(['shell', '--socket', '/nowhere/a.sock'], { stdin: 'status\n' }), { code: 3, err: /no agent listens here/ })
  t.match(await runCli(['shell', '--socket', '/nowhere/a.sock'], { stdin: '' }), { code: 0 })
})

t.test('an agent that is started again between two lines is reached by the next', async (t) => {
  const { agent, server, socketPath, directory } = await withServer(t, 5)
  const restart = async (): Promise<void> => {
    await server.close(0)
    const again = await startRpcServer(agent.services, { socketPath })
    t.teardown(async () => { await again.close(0) })
  }
  const done = join(directory, 'done')
  const script = `sessions count\nsessions count | cat > ${done}.1; while [ ! -e ${done}.2 ]; do sleep 0.05; done\nsessions count\n`
  const running = runCli(['shell', '--socket', socketPath], { stdin: script })
  t.ok(await comesAbout(() => { try { return statSync(`${done}.1`).size > 0 } catch { return false } }))
  await restart()
  writeFileSync(`${done}.2`, '')
  t.match(await running, { code: 0, out: '5\n5\n', err: '' })
})

t.test('Ctrl-C ends a script, not the line alone', async (t) => {
  const { socketPath, agent } = await withServer(t, 5)
  const child = spawn(process.execPath, [main, 'shell', '--socket', socketPath, '--keep-going'], { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, NODE_OPTIONS: '' } })
  t.teardown(() => { child.kill('SIGKILL') })
  let out = ''
  child.stdout.on('data', (part: Buffer) => { out += part.toString() })
  child.stdin.write('sessions count\nsessions watch\nsessions count\n')
  t.ok(await comesAbout(() => agent.watchers() === 1))
  child.kill('SIGINT')
  t.equal(await new Promise(resolve => child.once('close', resolve)), 130)
  t.equal(out, '5\n')
})

t.test('history is bounded, of this user alone, and has no repetition and nothing behind a blank', async (t) => {
  const directory = temporaryDirectory(t)
  const path = historyPath({ XDG_STATE_HOME: directory })
  t.equal(path, join(directory, 'lockstep/shell-history'))
  t.equal(historyPath({ HOME: '/home/anna', XDG_STATE_HOME: 'relative' }), '/home/anna/.local/state/lockstep/shell-history')
  const failures: unknown[] = []
  const open = async (): Promise<History> => await History.open(path, error => failures.push(error))
  const history = await open()
  for (const line of ['status', 'status', ' secret', '', 'nat', 'status']) await history.add(line)
  t.equal(readFileSync(path, 'utf8'), 'status\nnat\nstatus\n')
  t.equal(statSync(path).mode & 0o777, 0o600)
  for (let i = 0; i < 2 * HISTORY_MAX; i++) await history.add(`line ${i}`)
  t.equal(history.lines.length, HISTORY_MAX)
  t.ok(readFileSync(path, 'utf8').split('\n').length <= 2 * HISTORY_MAX + 1)
  t.same((await open()).lines, history.lines, 'the next shell has them')
  t.same(failures, [])
  const barred = join(directory, 'file')
  writeFileSync(barred, '')
  await (await History.open(join(barred, 'x/history'), error => failures.push(error))).add('status')
  t.ok(failures.length > 0, 'a place that cannot be written is told')
})

t.test('the prompt tells the role in a pair, and a state that is not running', async (t) => {
  const agent = { ...AgentGetInfoResponse.decode(new Uint8Array()), node: 'edge-1', backend: 'ebpf', state: AgentState.AGENT_STATE_RUNNING }
  const group = (rg: number, role: RgRole): ClusterGroup => ({ ...ClusterGroup.decode(new Uint8Array()), rg, role })
  const { RG_ROLE_OWNER: owner, RG_ROLE_STANDBY: standby } = RgRole
  t.equal(promptWords(agent, []), 'edge-1 ebpf')
  t.equal(promptWords(agent, [group(0, owner), group(1, owner)]), 'edge-1 ebpf owner')
  t.equal(promptWords({ ...agent, state: AgentState.AGENT_STATE_DEGRADED }, [group(0, owner), group(1, standby), group(2, owner)]), 'edge-1 ebpf owner:0,2 standby:1 degraded')
  t.equal(plainObject('agent', agent).state, 'running')
})

interface OnTerminal extends Running { readonly pty: Pty, readonly history: string }

async function onPty (t: Test, before: readonly string[] = []): Promise<OnTerminal> {
  const running = await withServer(t, 12)
  const history = historyPath({ XDG_STATE_HOME: running.directory })
  if (before.length > 0) {
    mkdirSync(join(running.directory, 'lockstep'))
    writeFileSync(history, before.map(line => `${line}\n`).join(''))
  }
  const pty = onTerminal(t, [process.execPath, main, 'shell'], { env: { LOCKSTEP_SOCKET: running.socketPath, XDG_STATE_HOME: running.directory, NO_COLOR: '1', NODE_OPTIONS: '' } })
  return { ...running, pty, history }
}

const PROMPT = /edge-1 userspace owner:0 standby:1> /

t.test('on a terminal: completion, help, history, and Ctrl-C for what runs', { skip: noPty }, async (t) => {
  const { pty, agent, history } = await onPty(t, ['sessions count'])
  t.ok(await pty.sees(PROMPT), pty.text())
  pty.type('\x1b[A\r')
  t.ok(await pty.sees(/sessions count[^]*\n12\r\n/), 'a line of the last time')
  pty.type('stat')
  pty.type('\t')
  t.ok(await pty.sees(/us /), 'a verb')
  pty.type('\r')
  t.ok(await pty.sees(/state +running/))
  t.ok(await pty.sees(PROMPT))
  pty.type('vip list w')
  t.ok(await pty.sees(/list w/))
  pty.type('\t')
  t.ok(await pty.sees(/eb /), 'a name that the agent knows')
  pty.type('?')
  t.ok(await pty.sees(/--json +print JSON[^]*vip list web /), 'help, and the line as it was')
  pty.type('\x15vip ?')
  t.ok(await pty.sees(/readback +Show rings/))
  pty.type('\x15sessions get "a?')
  t.ok(await pty.sees(/"a\?/), 'not in quotes')
  pty.type('\x03')
  t.ok(await pty.sees(/\^C/))
  t.ok(await pty.sees(PROMPT), 'Ctrl-C discards a line')
  pty.type('sessions watch\r')
  t.ok(await pty.sees(/watching; Ctrl-C ends/))
  t.ok(await comesAbout(() => agent.watchers() === 1))
  pty.type('\x03')
  t.ok(await pty.sees(PROMPT), 'Ctrl-C ends what runs, and not the shell')
  t.ok(await comesAbout(() => agent.watchers() === 0))
  pty.type(' sessions count --protocol udp\r')
  t.ok(await pty.sees(/\n3\r\n/))
  pty.type('sessions count | cat\r')
  t.ok(await pty.sees(/\n12\r\n/))
  t.ok(await pty.sees(PROMPT))
  pty.type('\x04')
  t.equal(await pty.ended, 0)
  t.equal(readFileSync(history, 'utf8'), 'sessions count\nstatus\nsessions watch\nsessions count | cat\n')
})

t.test('on a terminal: an agent that goes and comes back', { skip: noPty }, async (t) => {
  const { pty, server, agent, socketPath } = await onPty(t)
  t.ok(await pty.sees(PROMPT))
  await server.close(0)
  t.ok(await pty.sees(/edge-1 \(not reached\)> /), 'while nothing is typed')
  pty.type('sessions count\r')
  t.ok(await pty.sees(/no agent listens here/))
  const again = await startRpcServer(agent.services, { socketPath })
  t.teardown(async () => { await again.close(0) })
  t.ok(await pty.sees(PROMPT))
  pty.type('sessions count\r')
  t.ok(await pty.sees(/\n12\r\n/))
  pty.terminate()
  t.equal(await pty.ended, 143)
})
