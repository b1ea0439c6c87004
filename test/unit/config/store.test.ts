/** The store survives a crash at every point: what is recovered is the state before or after, never between. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { lstatSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { GenerationInfo } from '../../../src/contract/services.js'
import { IdBook } from '../../../src/config/ids.js'
import { noOverlay } from '../../../src/contract/overlay.js'
import { ConfigStore, historyMax, textHash } from '../../../src/config/store.js'
import { fileIo, type StoreIo } from '../../../src/config/store-io.js'
import { desired } from './support.js'

function directory (t: { teardown: (run: () => void) => void }): string {
  const dir = mkdtempSync(join(tmpdir(), 'lockstep-store-'))
  t.teardown(() => { rmSync(dir, { recursive: true, force: true }) })
  return dir
}
const info = (generation: number, text: string, state: GenerationInfo['state'] = 'running'): GenerationInfo =>
  ({ generation, appliedAt: 1, author: 'a', comment: 'c', source: 'grpc', hash: textHash(text), state, confirmBy: null })

async function put (store: ConfigStore, text: string): Promise<number> {
  const generation = await store.begin(text)
  await store.saveIds(store.ids.assign(desired(text)))
  await store.commit({ running: generation, history: [...store.state.history, info(generation, text)] })
  return generation
}

t.test('what was committed is there after opening again', async t => {
  const dir = directory(t)
  const store = await ConfigStore.open(dir)
  t.same(store.state, { running: null, unconfirmed: null, history: [], next: 1, startupHash: null, overlay: noOverlay, bootId: null })
  const n = await put(store, 'zones: {a: {}}\n')
  await store.saveStartup('zones: {a: {}}\n')
  const again = await ConfigStore.open(dir)
  t.same(again.state, store.state)
  t.equal(await again.text(n), 'zones: {a: {}}\n')
  t.equal((await again.startup())?.text, 'zones: {a: {}}\n')
  t.equal(again.ids.id('zone', 'a'), 1)
  t.same(again.notes, [])
  await t.rejects(again.text(99), { errorClass: 'stale', code: 'LS_E_NOT_FOUND' })
})

t.test('history is bounded; what runs and what a rollback needs stay', async t => {
  const store = await ConfigStore.open(directory(t))
  const first = await put(store, 'zones: {a: {}}\n')
  for (let i = 0; i < historyMax + 5; i++) {
    const n = await store.begin('zones: {b: {}}\n')
    await store.commit({ history: [...store.state.history, info(n, 'zones: {b: {}}\n', 'failed')] })
  }
  t.equal(store.state.history.length, historyMax + 1)
  t.equal(store.state.history[0]?.generation, first)
  t.equal(await store.text(first), 'zones: {a: {}}\n')
  await t.rejects(store.text(2), { code: 'LS_E_NOT_FOUND' })
})

t.test('a crash between any two file operations', async t => {
  class Crash extends Error {}
  const before = 'zones: {a: {}}\n'
  const after = 'zones: {a: {}, b: {}}\n'
  let points = 0
  for (let stop = 0; ; stop++) {
    const dir = directory(t)
    await put(await ConfigStore.open(dir), before)
    let count = 0
    const step = (): void => { if (count++ === stop) throw new Crash() }
    const wrap = <A extends unknown[], R>(run: (...args: A) => Promise<R>, torn?: (...args: A) => Promise<unknown>) => async (...args: A): Promise<R> => {
      if (count === stop && torn !== undefined) await torn(...args)
      step()
      return await run(...args)
    }
    const io: StoreIo = { ...fileIo, write: wrap(fileIo.write, async (path, text, mode) => { await fileIo.write(path, text.slice(0, text.length >> 1), mode) }), rename: wrap(fileIo.rename), syncDirectory: wrap(fileIo.syncDirectory), remove: wrap(fileIo.remove) }
    let crashed = false
    try {
      const store = await ConfigStore.open(dir, { io })
      await put(store, after)
      await store.saveStartup(after)
    } catch (error) {
      if (!(error instanceof Crash)) throw error
      crashed = true
    }
    const found = await ConfigStore.open(dir)
    const running = found.state.running ?? 0
    const text = await found.text(running)
    t.ok(text === before || text === after, `stop ${stop}: ${running}`)
    t.same(found.notes, [], `stop ${stop}: nothing is damaged`)
    t.equal(found.ids.id('zone', 'a'), 1)
    if (text === after) t.equal(found.ids.id('zone', 'b'), 2, 'ids of what runs are known')
    const next = await put(found, before)
    t.ok(next > running, `stop ${stop}: numbers only grow`)
    if (!crashed) break
    points++
  }
  t.ok(points >= 12, `${points} points`)
})

t.test('kill -9 while generations are written', async t => {
  const dir = directory(t)
  const script = `
    import { ConfigStore, textHash } from ${JSON.stringify(new URL('../../../src/config/store.js', import.meta.url).href)}
    const store = await ConfigStore.open(process.argv[1])
    console.log('open')
    for (let i = 0; ; i++) {
      const text = 'zones: {z' + i + ': {}}\\n'
      const n = await store.begin(text)
      await store.commit({ running: n, history: [...store.state.history, { generation: n, appliedAt: 1, author: '', comment: '', source: 'grpc', hash: textHash(text), state: 'running', confirmBy: null }] })
      console.log(n)
    }`
  let last = 0
  for (let round = 0; round < 6; round++) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', script, dir], { stdio: ['ignore', 'pipe', 'inherit'], cwd: fileURLToPath(new URL('.', import.meta.url)) })
    let told = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => { told += chunk })
    await once(child.stdout, 'data')
    await new Promise(resolve => setTimeout(resolve, 20 + 37 * round))
    child.kill('SIGKILL')
    await once(child, 'close')
    const said = Number(told.trim().split('\n').at(-1)) || 0
    const store = await ConfigStore.open(dir)
    const running = store.state.running ?? 0
    t.ok(running >= said && running >= last, `round ${round}: told ${said}, found ${running}`)
    if (running > 0) t.equal(textHash(await store.text(running)), store.info(running)?.hash)
    t.same(store.notes, [])
    last = running
  }
  t.ok(last > 0)
})

t.test('saving to the operator\'s own file keeps its link and permissions', async t => {
  const dir = directory(t)
  writeFileSync(join(dir, 'real.yaml'), '{}\n', { mode: 0o640 })
  symlinkSync(join(dir, 'real.yaml'), join(dir, 'link.yaml'))
  const store = await ConfigStore.open(join(dir, 'state'), { startupPath: join(dir, 'link.yaml') })
  await store.saveStartup('zones: {}\n')
  t.ok(lstatSync(join(dir, 'link.yaml')).isSymbolicLink())
  t.equal(readFileSync(join(dir, 'real.yaml'), 'utf8'), 'zones: {}\n')
  t.equal(statSync(join(dir, 'real.yaml')).mode & 0o777, 0o640)
})

t.test('damaged files are set aside and said, not trusted', async t => {
  const dir = directory(t)
  const n = await put(await ConfigStore.open(dir), 'zones: {a: {}}\n')
  const state = readFileSync(join(dir, 'state.json'), 'utf8')
  writeFileSync(join(dir, 'state.json'), state.replace('"running":1', '"running":7'))
  const store = await ConfigStore.open(dir)
  t.match(store.notes, [/state\.json was damaged/])
  t.equal(store.state.running, null)
  t.ok(store.state.next > n, 'numbers of the lost history are not used again')
  t.equal(store.ids.id('zone', 'a'), 1, 'ids are a file of their own')
  writeFileSync(join(dir, 'ids.json'), 'x'.repeat(100))
  const again = await ConfigStore.open(dir)
  t.match(again.notes, [/ids\.json was damaged/])
  const m = await put(again, 'zones: {b: {}}\n')
  writeFileSync(join(dir, 'generations', `${m}.yaml`), 'zones: {evil: {}}\n')
  await t.rejects(again.text(m), { errorClass: 'unavailable', code: 'LS_C_STORE' })
  t.ok(IdBook.empty())
})
