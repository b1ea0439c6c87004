/** schema.json, docs/configuration.md and the examples say what the code does. `UPDATE=1` writes the first two. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Ajv2020 } from 'ajv/dist/2020.js'
import t from 'tap'
import { checkText } from '../../../src/config/check.js'
import { hostDefaults } from '../../../src/config/host-defaults.js'
import { parseConfig } from '../../../src/config/parse.js'
import { configSchema } from '../../../src/config/schema/index.js'
import { readYaml } from '../../../src/config/yaml.js'
import { phase, screen } from '../../../src/generated/codes.js'
import { renderReference } from './reference.js'
import { compiled, options, root } from './support.js'

const schemaFile = join(root, 'src/config/schema.json')
const schemaText = `${JSON.stringify(configSchema, null, 2)}\n`
const docFile = join(root, 'docs/configuration.md')
const [begin, end] = ['<!-- reference: generated from the schema by test/unit/config -->', '<!-- end of reference -->']

if (process.env['UPDATE'] === '1') {
  writeFileSync(schemaFile, schemaText)
  const doc = readFileSync(docFile, 'utf8')
  writeFileSync(docFile, doc.slice(0, doc.indexOf(begin)) + `${begin}\n\n${renderReference(configSchema)}\n` + doc.slice(doc.indexOf(end)))
}

t.test('schema.json is the schema that the agent enforces', async t => {
  t.equal(readFileSync(schemaFile, 'utf8'), schemaText, 'run the test with UPDATE=1')
})

t.test('the schema is valid, and describes every key', async t => {
  new Ajv2020({ strict: true, allowUnionTypes: true }).compile(configSchema)
  const walk = (node: unknown, path: string): void => {
    if (node === null || typeof node !== 'object') return
    const { properties, additionalProperties, items } = node as { properties?: Record<string, { description?: string }>, additionalProperties?: unknown, items?: unknown }
    for (const [key, value] of Object.entries(properties ?? {})) {
      t.ok((value.description ?? '').length > 3, `${path}/${key} has a description`)
      walk(value, `${path}/${key}`)
    }
    walk(additionalProperties, `${path}/*`)
    walk(items, `${path}[]`)
  }
  walk(configSchema, '')
})

t.test('phases and screens of the dataplane are all in the schema', async t => {
  const { properties } = configSchema as unknown as { properties: Record<string, { properties?: object, additionalProperties?: { properties?: object } }> }
  t.same(Object.keys(properties['timeouts']?.properties ?? {}), phase.map(p => p.name.replaceAll('_', '-')))
  t.same(Object.keys(properties['screens']?.additionalProperties?.properties ?? {}), screen.map(s => s.name.replaceAll('_', '-')))
})

t.test('the reference in docs/configuration.md is that of the schema', async t => {
  const doc = readFileSync(docFile, 'utf8')
  t.equal(doc.slice(doc.indexOf(begin) + begin.length, doc.indexOf(end)).trim(), renderReference(configSchema).trim(), 'run the test with UPDATE=1')
})

t.test('every YAML block of docs/configuration.md is accepted', async t => {
  const blocks = [...readFileSync(docFile, 'utf8').matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text]) => text ?? '')
  t.ok(blocks.length >= 5)
  for (const text of blocks) t.same(parseConfig(text, { ...options, anyNode: true }).issues, [], text.split('\n')[0] ?? '')
})

t.test('every error code is explained', async t => {
  const sources = readdirSync(join(root, 'src/config'), { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.ts')).map(name => readFileSync(join(root, 'src/config', name), 'utf8'))
  const codes = sources.flatMap(text => [...text.matchAll(/'(LS_C_[A-Z_]+)'/g)].map(([, c]) => c ?? ''))
  t.ok(codes.length > 50)
  const doc = readFileSync(docFile, 'utf8')
  for (const c of new Set(codes)) t.ok(doc.includes(`\`${c}\``), c)
})

t.test('every example is accepted without warnings and compiles, for each of its nodes', async t => {
  const names = readdirSync(join(root, 'examples')).filter(name => name.endsWith('.yaml'))
  t.ok(names.length >= 3)
  for (const name of names) {
    const text = readFileSync(join(root, 'examples', name), 'utf8')
    const { nodes } = readYaml(text).value as { nodes?: object }
    for (const node of nodes === undefined ? ['any'] : Object.keys(nodes)) {
      const { desired, issues, warnings } = parseConfig(text, { host: { ...options.host, node } })
      t.same([issues, warnings], [[], []], `${name} ${node}`)
      if (desired !== null) t.same(compiled(desired).warnings, [], `${name} ${node}`)
    }
  }
})

t.test('lockstep check without an agent', async t => {
  t.match(checkText('zones: {a: {}}\n'), { ok: true, issues: [], plan: [{ action: 'add', kind: 'agent' }] })
  t.match(checkText('zone: {a: {}}\n'), { ok: false, issues: [{ path: '/zone' }], plan: [] })
})

t.test('where an agent keeps its things', async t => {
  t.match(hostDefaults({}, 0), { stateDir: '/var/lib/lockstep', socketPath: '/run/lockstep/agent.sock' })
  t.match(hostDefaults({ XDG_STATE_HOME: '/s', XDG_RUNTIME_DIR: '/r' }, 1000), { stateDir: '/s/lockstep', socketPath: '/r/lockstep/agent.sock' })
  t.match(hostDefaults({ XDG_STATE_HOME: 'relative' }, 1000), { stateDir: /\/\.local\/state\/lockstep$/, socketPath: /lockstep\/agent\.sock$/ })
})
