/** The protocol: linted, and what was published keeps its meaning. The image is of the last release, made again with each: buf build proto --exclude-source-info -o test/fixtures/proto/published.binpb */
import t from 'tap'
import { execFile } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { root } from './repo.js'

const run = promisify(execFile)
const published = join(root, 'test/fixtures/proto/published.binpb')
const buf = async (...args: string[]): Promise<string> => await run(join(root, 'node_modules/.bin/buf'), args, { cwd: root }).then(() => '', (e: { stdout: string, stderr: string }) => `${e.stdout}${e.stderr}`)

t.test('lint', async (t) => { t.equal(await buf('lint'), '') })

t.test('no map fields: reflection would name their entries so that strict clients refuse the whole file', async (t) => {
  const protos = readdirSync(join(root, 'proto/lockstep/v1'))
  t.ok(protos.includes('agent.proto'))
  for (const name of protos) t.notMatch(readFileSync(join(root, 'proto/lockstep/v1', name), 'utf8'), /^\s*map\s*</m, name)
})

t.test('nothing that was published is gone or means something else', async (t) => { t.equal(await buf('breaking', '.', '--against', published), '') })

t.test('and that would be found', async (t) => {
  const copy = mkdtempSync(join(tmpdir(), 'ls-proto-'))
  t.teardown(() => { rmSync(copy, { recursive: true }) })
  cpSync(join(root, 'proto'), join(copy, 'proto'), { recursive: true })
  cpSync(join(root, 'buf.yaml'), join(copy, 'buf.yaml'))
  const file = join(copy, 'proto/lockstep/v1/sessions.proto')
  writeFileSync(file, readFileSync(file, 'utf8').replace('rpc Count(', 'rpc HowMany('))
  t.match(await buf('breaking', copy, '--against', published), /Count|FILE|RPC/)
})
