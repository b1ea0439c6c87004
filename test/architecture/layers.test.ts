/** The tree is layered as docs/architecture.md draws it; an offence names the file, the import and the rule. */
import t from 'tap'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { offences } from './layers.js'
import { filesBelow, importsOf, read, root } from './repo.js'

const sources = filesBelow('src', ['.ts', '.tsx'])

t.test('the rule refuses what it should and allows what it should', async (t) => {
  const verdict = (file: string, specifier: string) => offences(file, `import { x } from '${specifier}'`).length === 0
  const table: [string, string, boolean][] = [
    ['src/config/parse.ts', '../contract/session.js', true],
    ['src/config/parse.ts', '../native/binding.js', false],
    ['src/config/parse.ts', '../ha/rg.js', false],
    ['src/ha/rg.ts', '../health/checker.js', false],
    ['src/ha/sync/link.ts', '../rg.js', true],
    ['src/rpc/server.ts', '../telemetry/snapshot.js', true],
    ['src/agent.ts', './backend/ebpf/index.js', true],
    ['src/backend/registry.ts', './ebpf/index.js', true],
    ['src/backend/dpdk/index.ts', '../ebpf/index.js', false],
    ['src/backend/ebpf/index.ts', '../table/forwarder.js', true],
    ['src/backend/table/index.ts', '../ebpf/index.js', false],
    ['src/rpc/server.ts', '../backend/ebpf/index.js', false],
    ['src/workers/rpc.ts', '../rpc/server.js', true],
    ['src/workers/rpc.ts', '../backend/ebpf/index.js', false],
    ['src/rpc/server.ts', '../workers/bridge.js', false],
    ['src/contract/session.ts', 'node:fs', false],
    ['src/contract/session.ts', './errors.js', true],
    ['src/contract/session.ts', '../generated/codes.js', false],
    ['src/cli/sessions.ts', '../client/index.js', true],
    ['src/cli/sessions.ts', '../native/binding.js', false],
    ['src/cli/verbs/sessions.ts', '../../rpc/server.js', false],
    ['src/cli/modules.ts', '../config/check.js', true],
    ['src/cli/modules.ts', '../main.js', true],
    ['src/cli/modules.ts', '../ha/rg.js', false],
    ['src/lib/clock.ts', '../cli/main.js', false],
    ['src/web/model.ts', '../client/plain.js', true],
    ['src/web/model.ts', '../gateway/live.js', false],
    ['src/novelty/x.ts', '../lib/clock.js', false],
  ]
  for (const [file, specifier, allowed] of table) t.equal(verdict(file, specifier), allowed, `${file} -> ${specifier}: ${allowed ? 'allowed' : 'refused'}`)
  t.match(offences('src/lib/a.ts', "\nconst x = await import('../ha/rg.js')")[0], /^src\/lib\/a\.ts:2 imports \.\.\/ha\/rg\.js: ha \(rank 2\)/)
  t.equal(offences('src/lib/a.ts', "new Worker(new URL('../workers/sync.js', import.meta.url))").length, 1, 'worker entries count as imports')
})

t.test('no file of src or bench breaks it', async (t) => {
  t.same([...sources, ...filesBelow('bench', ['.ts'])].flatMap((file) => offences(file)), [])
})

t.test('every relative import names a file that exists', async (t) => {
  const lost = sources.flatMap((file) => importsOf(file)
    .filter(({ file: target }) => target !== null && /\.tsx?$/.test(target) && !existsSync(join(root, target)))
    .map(({ specifier, line }) => `${file}:${line} imports ${specifier}`))
  t.same(lost, [])
})

t.test('every package that src imports is installed with Lockstep; the web page has its own in the bundle', async (t) => {
  const { dependencies, devDependencies } = JSON.parse(read('package.json')) as { dependencies: Record<string, string>, devDependencies: Record<string, string> }
  const packageOf = (specifier: string) => specifier.split('/').slice(0, specifier.startsWith('@') ? 2 : 1).join('/')
  const lost = sources.flatMap((file) => importsOf(file)
    .filter(({ specifier, file: target }) => target === null && !specifier.startsWith('node:') && !(packageOf(specifier) in dependencies) && !(file.startsWith('src/web/') && packageOf(specifier) in devDependencies))
    .map(({ specifier, line }) => `${file}:${line} imports ${specifier}: not in dependencies`))
  t.same(lost, [])
})

t.test('the web page takes types of the rest and no code, which would not run in a browser', async (t) => {
  const taken = sources.filter((file) => file.startsWith('src/web/')).flatMap((file) => [...read(file).matchAll(/^import (?!type )[^']*'(\.\.\/[^']+)'/gm)].map(([, target]) => `${file} imports ${target}`))
  t.same(taken, [])
})

t.test('only src/native loads native code', async (t) => {
  const loads = /\/[\w.-]+\.node['"`]|node-gyp-build|process\.dlopen/
  t.same(sources.filter((file) => !file.startsWith('src/native/') && loads.test(read(file))), [])
})
