/** `lockstep doctor` as a command: where its configuration comes from, what it prints, how it ends. What it finds is the business of other tests. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { temporaryDirectory, withServer } from '../rpc/with-server.js'
import { runCli } from '../cli/run-cli.js'

interface Report { readonly backend: string, readonly interfaces: number, readonly counts: Record<string, number>, readonly findings: ReadonlyArray<Record<string, string>> }

const missing = 'no-such-link'
const config = (backend: string): string => `agent: {backend: ${backend}}\ninterfaces: {${missing}: {zone: z}}\nzones: {z: {}}\n`

t.test('a file: its interfaces are looked at, for its backend or for the one asked for', async (t) => {
  const file = join(temporaryDirectory(t), 'edge.yaml')
  writeFileSync(file, config('ebpf'))
  const { code, out, err } = await runCli(['doctor', file, '--json'])
  t.equal(err, '')
  const report = JSON.parse(out) as Report
  t.equal(code, 2, 'an interface is missing: that is an error')
  t.equal(report.backend, 'ebpf')
  t.equal(report.interfaces, 1)
  t.match(report.findings.find((f) => f['subject'] === missing), { id: 'link', severity: 'error', finding: 'there is no such interface' })
  t.equal(report.counts['error'], report.findings.filter((f) => f['severity'] === 'error').length)
  for (const f of report.findings) t.same(Object.keys(f).sort(), ['command', 'consequence', 'finding', 'id', 'severity', 'source', 'subject'])
  const other = JSON.parse((await runCli(['doctor', file, '--backend', 'userspace', '--json'])).out) as Report
  t.equal(other.backend, 'userspace')
})

t.test('text: errors first, colour on a terminal only, what is well when asked for, a sum at the end', async (t) => {
  const file = join(temporaryDirectory(t), 'edge.yaml')
  writeFileSync(file, config('userspace'))
  const { out } = await runCli(['doctor', file])
  t.match(out.split('\n')[0], new RegExp(`^error    ${missing} +link +there is no such interface$`))
  t.notMatch(out, /^ok/m)
  t.match(out, /^\d+ errors?, \d+ warnings?, \d+ notes?, \d+ ok \(backend userspace, 1 interface(, without root)?\)\n$/m)
  t.match((await runCli(['doctor', file, '--all'])).out, /^ok {7}host +kernel +Linux/m)
  t.notMatch(out, '\u001b')
  t.match((await runCli(['doctor', file], { color: true })).out, '\u001b[31merror')
})

t.test('without a configuration: every interface here that is up, and nothing about tables', async (t) => {
  const { code, out } = await runCli(['doctor', '--json'])
  const { backend, findings } = JSON.parse(out) as Report
  t.equal(backend, 'userspace')
  t.same(findings.filter((f) => ['memory', 'cgroup', 'hugepages', 'port-ranges'].includes(f['id'] ?? '')), [])
  t.equal(code, findings.some((f) => f['severity'] === 'error') ? 2 : 0)
})

t.test('a running agent is asked for its configuration; its memory is not asked for again', async (t) => {
  const { socketPath } = await withServer(t, 1)
  t.equal((await runCli(['apply', '-', '--socket', socketPath], { stdin: config('userspace') })).code, 0)
  const { code, out } = await runCli(['doctor', '--socket', socketPath, '--json'])
  t.equal(code, 2)
  const { findings } = JSON.parse(out) as Report
  t.match(findings.find((f) => f['subject'] === missing), { id: 'link' })
  t.same(findings.filter((f) => f['id'] === 'memory'), [])
})

t.test('refusals say what to do', async (t) => {
  const file = join(temporaryDirectory(t), 'bad.yaml')
  writeFileSync(file, 'zonse: {}\n')
  const bad = await runCli(['doctor', file])
  t.equal(bad.code, 1)
  t.match(bad.err, `see them all: lockstep check ${file}`)
  t.equal((await runCli(['doctor', file, '--socket', '/nowhere'])).code, 2)
  t.equal((await runCli(['doctor', '--backend', 'vpp'])).code, 2)
  const nobody = await runCli(['doctor', '--socket', join(temporaryDirectory(t), 'none.sock')])
  t.equal(nobody.code, 3)
  t.match(nobody.err, 'no agent listens here')
})
