/** Every method of the protocol is called by some verb, as the examples of its help call it; every verb that asks the agent prints JSON, every one that lists an object a line. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Server, ServerCredentials, type ServiceDefinition, type ServerUnaryCall, type ServerWritableStream, type sendUnaryData } from '@grpc/grpc-js'
import type { Command } from 'commander'
import t, { type Test } from 'tap'
import { Interrupted } from '../../../src/cli/io.js'
import { buildProgram } from '../../../src/cli/program.js'
import { runCli, testIo, type CliResult } from './run-cli.js'
import { withServer } from '../rpc/with-server.js'

/** Methods that need no verb, and why. */
const noVerb: Readonly<Record<string, string>> = {
  '/lockstep.v1.Agent/Doctor': '`doctor --socket`, whose exit codes are its own',
  '/lockstep.v1.Debug/GetTable': 'the tables that a viewer may read; GetGuardedTable has them too' }

const program = buildProgram(testIo({}, { out: async () => undefined, err: () => undefined }), { code: 0 }, [])
const pathOf = (command: Command): string[] => (command.parent === null ? [] : [...pathOf(command.parent), command.name()])
const verbsOf = (command: Command): Command[] => command.commands.length === 0 ? [command] : command.commands.flatMap(verbsOf)
const has = (command: Command, option: string): boolean => command.options.some(o => o.long === option)
/** These have --socket to make, or to judge, what runs behind it. */
const other = ['run', 'quickstart', 'gateway', 'doctor', 'shell']
const online = verbsOf(program).filter(verb => has(verb, '--socket') && !other.includes(verb.name()))

async function services (): Promise<ServiceDefinition[]> {
  const folder = new URL('../../../src/generated/proto/lockstep/v1/', import.meta.url)
  const modules = await Promise.all(readdirSync(folder).filter(file => file.endsWith('.js')).map(async file => await import(new URL(file, folder).href) as Record<string, unknown>))
  return modules.flatMap(module => Object.entries(module).filter(([name]) => name.endsWith('Service')).map(([, service]) => service as ServiceDefinition))
}

/** Answers every call with nothing, and tells what was called. */
async function recorder (t: Test, onStream: () => void): Promise<{ readonly socket: string, readonly called: Set<string>, readonly methods: string[] }> {
  const server = new Server()
  const called = new Set<string>()
  const methods: string[] = []
  for (const service of await services()) {
    const nothing = Object.fromEntries(Object.entries(service).map(([name, method]) => [name, { ...method, responseSerialize: () => Buffer.alloc(0) }])) as ServiceDefinition
    server.addService(nothing, Object.fromEntries(Object.entries(service).map(([name, { path, responseStream }]) => {
      methods.push(path)
      return [name, responseStream
        ? (call: ServerWritableStream<unknown, unknown>) => { called.add(path); call.end(); onStream() }
        : (_: ServerUnaryCall<unknown, unknown>, done: sendUnaryData<unknown>) => { called.add(path); done(null, {}) }]
    })))
  }
  const directory = mkdtempSync(join(tmpdir(), 'ls-test-'))
  const socket = join(directory, 'a.sock')
  await new Promise<void>((resolve, reject) => { server.bindAsync(`unix:${socket}`, ServerCredentials.createInsecure(), error => { if (error === null) resolve(); else reject(error) }) })
  t.teardown(() => {
    server.forceShutdown()
    rmSync(directory, { recursive: true, force: true })
  })
  return { socket, called, methods }
}

t.test('every method is reached by the examples of some verb', async (t) => {
  let streamed = new AbortController()
  const { socket, called, methods } = await recorder(t, () => { setImmediate(() => { streamed.abort(new Interrupted(130)) }) })
  const before = process.cwd()
  process.chdir(join(socket, '..'))
  t.teardown(() => { process.chdir(before) })
  writeFileSync('edge.yaml', 'version: 1\n')
  writeFileSync('sessions.jsonl', '')
  for (const verb of online) {
    const { out } = await runCli([...pathOf(verb), '--help'])
    const examples = out.slice(out.indexOf('\nExamples:\n')).split('\n').filter(line => line.startsWith('  lockstep '))
    t.ok(examples.length > 0, pathOf(verb).join(' '))
    for (const example of examples) {
      const argv = example.trim().replace(/ (\||>|<|&&) .*$/, '').replace('--rate 5s', '--rate 1ms').replaceAll(/"[^"]*"/g, 'text').split(/\s+/).slice(1)
      streamed = new AbortController()
      const { code, err } = await runCli(argv, { env: { LOCKSTEP_SOCKET: socket }, signal: streamed.signal })
      t.notOk(code === 2 || code === 70, `${example.trim()}: ${err}`)
    }
  }
  t.ok(methods.length > 40)
  for (const path of methods) {
    const why = noVerb[path]
    t.equal(called.has(path), why === undefined, why === undefined ? `${path}: a verb calls it` : `${path}: ${why}`)
  }
})

t.test('a verb that asks the agent has --json; one that lists has --output', async (t) => {
  const lists = online.filter(verb => /^(list|history|watch|events|counters|flood|nat|nat-who|compare|readback|alarms|differences|neighbours|sources|pending|routes|sinks)$/.test(verb.name()) || pathOf(verb).join(' ') === 'sessions top')
  t.ok(lists.length >= 18, lists.map(verb => verb.name()).join(' '))
  for (const verb of online) t.ok(has(verb, '--json'), pathOf(verb).join(' '))
  for (const verb of lists) t.ok(has(verb, '--output'), pathOf(verb).join(' '))
  for (const verb of online.filter(verb => has(verb, '--output'))) t.ok(lists.includes(verb), `${pathOf(verb).join(' ')} lists`)
})

t.test('--output: json is --json, jsonl an object a line, table the default', async (t) => {
  const { socketPath, agent } = await withServer(t, 12)
  await agent.config.apply('version: 2\n', { author: 'anna', comment: '', source: 'grpc', confirmWithinMs: null, expectedGeneration: null, dryRun: false, requestId: '' }, new AbortController().signal)
  const cli = async (command: string): Promise<CliResult> => await runCli(command.split(' '), { env: { LOCKSTEP_SOCKET: socketPath } })
  const lines = (out: string): unknown[] => out.trimEnd().split('\n').map(line => JSON.parse(line) as unknown)
  for (const verb of ['backend list', 'history', 'compare', 'cluster history', 'vip list', 'vip readback', 'target list', 'link list', 'sessions list', 'flood', 'nat']) {
    const whole = (await cli(`${verb} --json`)).out
    t.equal((await cli(`${verb} --output json`)).out, whole, verb)
    const each = await cli(`${verb} --output jsonl`)
    t.equal(each.code, 0, `${verb}: ${each.err}`)
    t.same(lines(each.out), JSON.parse(whole), verb)
    t.equal((await cli(`${verb} --output table`)).out, (await cli(verb)).out, verb)
  }
  t.match(lines((await cli('counters global vip --output jsonl')).out), [{ block: 'global', name: 'rx_packets', value: 1000 }, { block: 'vip', name: 'web', packets: 40 }])
  t.match(lines((await cli('watch vip --count 2 --output jsonl')).out), [{ change: 'added', key: 'dns' }, { key: 'web' }])
  t.match(await cli('vip list --output yaml'), { code: 2, err: /table, json, jsonl/ })
  t.match(await cli('vip list --json --output table'), { code: 2, err: /cannot be used with/ })
  t.match(await cli('watch vip --output json'), { code: 2, err: /table, jsonl/ })
  t.match((await cli('link list')).out, /^LINK +STATE +KIND +MTU +MAC +ADDRESSES\neth0 +up +packet +1500 +02:00:00:00:00:01 +192\.0\.2\.1\/24\n$/)
  t.match(await cli('link list eth9'), { code: 4, err: /no such link/ })
  t.match((await cli('metrics')).out, /^# HELP lockstep_/)
})
