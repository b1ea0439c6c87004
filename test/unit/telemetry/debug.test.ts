/** Debug tables: what can be registered, what a read costs when it hangs, which rows are shown in which order, and the book of work. */
import t from 'tap'
import { everyRow, type DebugAsk, type DebugCell, type DebugRow, type DebugTable } from '../../../src/contract/debug.js'
import { LockstepError } from '../../../src/contract/errors.js'
import { cellText, numberText, sizeText, spanText, timeText } from '../../../src/lib/debug-text.js'
import { WorkBook } from '../../../src/lib/work.js'
import { DebugRegistry, reservedNames } from '../../../src/telemetry/debug/registry.js'
import { select } from '../../../src/telemetry/debug/select.js'
import { debugTable, link } from '../../../src/telemetry/debug/table.js'
import { workTables } from '../../../src/telemetry/debug/work-tables.js'

interface Thing { readonly name: string, readonly size: number | null, readonly address?: string, readonly of?: string }
const things = (read: Parameters<typeof debugTable<Thing>>[0]['read'], name = 'things'): DebugTable => debugTable<Thing>({
  name, about: 'A thing', group: 'test', source: 'the test',
  columns: { name: ['text', r => r.name], size: ['number', r => r.size], address: ['address', r => r.address ?? null], of: ['link', r => link('owners', r.of ?? null), 'owners'] }, read, tone: r => r.size === null ? 'dim' : ''
})
const never = new AbortController().signal
const failure = async (promise: Promise<unknown>): Promise<LockstepError> => await promise.then(() => { throw new Error('was not refused') }, (error: unknown) => { if (error instanceof LockstepError) return error; throw error })

t.test('a table is read when asked, and gone when taken away', async (t) => {
  const registry = new DebugRegistry()
  let reads = 0
  const remove = registry.register(things(() => { reads++; return [{ name: 'a', size: 1 }, { name: 'b', size: null }] }))
  t.equal(reads, 0, 'it costs nothing until then')
  t.same(registry.shapes.map(({ name, access, columns }) => [name, access, columns.map(column => column.type)]), [['things', 'viewer', ['text', 'number', 'address', 'link']]])
  t.same(await registry.rows('things', everyRow, never), { rows: [{ cells: ['a', 1, null, []] }, { cells: ['b', null, null, []], tone: 'dim' }] })
  t.equal(await registry.count('things', never), 2)
  t.equal(reads, 2)
  remove()
  t.match(await failure(registry.rows('things', everyRow, never)), { code: 'LS_E_NOT_FOUND' })
})

t.test('what cannot stand in an address, or twice, is refused', (t) => {
  const registry = new DebugRegistry()
  registry.register(things(() => []))
  t.throws(() => registry.register(things(() => [])), /the name is taken/)
  for (const name of ['', 'Things', '<script>', 'a/b', '-', '1st', 'x'.repeat(41)]) t.throws(() => registry.register(things(() => [], name)), /cannot stand in an address/, name)
  const withColumns = (...columns: DebugTable['columns']): DebugTable => ({ ...things(() => [], 'others'), columns })
  for (const name of [...reservedNames, 'A', 'two words']) t.throws(() => registry.register(withColumns({ name: 'key', type: 'text' }, { name, type: 'text' })), /column/, name)
  t.throws(() => registry.register(withColumns({ name: 'a', type: 'text' }, { name: 'a', type: 'text' })), /column a/)
  for (const type of ['link', 'secret'] as const) t.throws(() => registry.register(withColumns({ name: 'a', type })), /first column is the key/)
  t.end()
})

t.test('a table that hangs is given up in time, and after some reads that did not come back no more is asked of it', async (t) => {
  const registry = new DebugRegistry(20)
  const signals: AbortSignal[] = []
  registry.register(things(async (_ask, signal) => { signals.push(signal); return await new Promise<never>(() => undefined) }))
  registry.register(things(() => [], 'quick'))
  t.match(await failure(registry.rows('things', everyRow, never)), { code: 'LS_D_SLOW', errorClass: 'unavailable', message: /table things.*20 ms.*the test/ })
  t.ok(signals[0]?.aborted, 'it is told')
  await Promise.all(Array.from({ length: 15 }, async () => { await failure(registry.rows('things', everyRow, never)) }))
  t.match(await failure(registry.rows('things', everyRow, never)), { code: 'LS_D_BUSY', errorClass: 'exhausted' })
  t.equal(signals.length, 16)
  t.same(await registry.rows('quick', everyRow, never), { rows: [] }, 'others are read')
  const gone = new AbortController()
  gone.abort(new Error('the caller went'))
  await t.rejects(registry.rows('quick', everyRow, gone.signal), /the caller went/)
})

t.test('what a table throws comes out, and it can be read again', async (t) => {
  const registry = new DebugRegistry()
  let broken = true
  registry.register(things(() => { if (broken) throw new Error('the dataplane is away'); return [] }))
  for (let i = 0; i < 20; i++) await t.rejects(registry.rows('things', everyRow, never), /the dataplane is away/)
  broken = false
  t.same(await registry.rows('things', everyRow, never), { rows: [] })
})

t.test('a secret does not leave its registry, and tables of another thread are read there', async (t) => {
  const there = new DebugRegistry()
  there.register(debugTable<{ readonly name: string, readonly key: string | null }>({ name: 'keys', about: 'A key', group: 'test', source: 'there', columns: { name: ['text', r => r.name], key: ['secret', r => r.key] }, read: () => [{ name: 'a', key: 'hunter2' }, { name: 'b', key: null }, { name: 'c', key: '' }] }))
  const here = new DebugRegistry()
  here.mount({ shapes: structuredClone(there.shapes) as typeof there.shapes, count: there.count, rows: async (name, ask, signal) => structuredClone(await there.rows(name, structuredClone(ask), signal)) })
  t.same((await here.rows('keys', everyRow, never)).rows.map(({ cells }) => cells), [['a', 'set'], ['b', null], ['c', null]])
  t.equal(await here.count('keys', never), 3)
})

const shape = things(() => [])
const row = (name: string, size: number | null, address: string | null = null, of: string | null = null): DebugRow => ({ cells: [name, size, address, link('owners', of)] })
const all = [row('web10', 5, '10.0.0.1', 'x'), row('web2', 5, '10.0.1.1', 'y'), row('Db', null, '2001:db8::1'), row('api', 1_000_000, '10.0.0.0/24', 'x')]
const names = (ask: Partial<DebugAsk>, page: Partial<{ sort: string, offset: number, limit: number }> = {}): readonly DebugCell[] =>
  select(shape, all, { ...everyRow, ...ask }, { sort: '', offset: 0, limit: 100, ...page }).rows.map(({ cells: [name = null] }) => name)
const by = (column: string, text: string): Partial<DebugAsk> => ({ filters: [{ column, text }] })

t.test('filters', (t) => {
  const table: ReadonlyArray<readonly [Partial<DebugAsk>, readonly string[]]> = [
    [{}, ['web10', 'web2', 'Db', 'api']],
    [by('name', 'WEB'), ['web10', 'web2']], [by('name', '=web2'), ['web2']], [by('name', '=WEB2'), []], [by('name', '!web'), ['Db', 'api']], [by('name', ''), ['web10', 'web2', 'Db', 'api']],
    [by('size', '5'), ['web10', 'web2']], [by('size', '>5'), ['api']], [by('size', '>=5'), ['web10', 'web2', 'api']], [by('size', '<=5'), ['web10', 'web2']], [by('size', '<0'), []], [by('size', '!'), ['web10', 'web2', 'api']], [by('size', '='), ['Db']],
    [by('address', '10.0.0.0/24'), ['web10', 'api']], [by('address', '2001:db8::/32'), ['Db']], [by('address', '10.0.0'), ['web10', 'api']], [by('address', '=10.0.0.1'), ['web10']],
    [by('of', '=x'), ['web10', 'api']], [by('', 'x'), ['web10', 'api']], [by('', '10'), ['web10', 'web2', 'api']],
    [{ filters: [{ column: 'name', text: 'web' }, { column: 'of', text: 'y' }] }, ['web2']], [{ key: 'api' }, ['api']], [{ key: 'nobody' }, []],
    [{ refers: { table: 'owners', key: 'x' } }, ['web10', 'api']], [{ refers: { table: 'things', key: 'x' } }, []]
  ]
  for (const [ask, expected] of table) t.same(names(ask), expected, JSON.stringify(ask))
  t.throws(() => names(by('colour', 'red')), { code: 'LS_D_COLUMN', message: /found colour, expected name size address of/ })
  t.end()
})

t.test('sorting is stable by key, numbers in names count, and what is not there comes last either way', (t) => {
  t.same(names({}, { sort: 'name' }), ['api', 'Db', 'web2', 'web10'])
  t.same(names({}, { sort: '-name' }), ['web10', 'web2', 'Db', 'api'])
  t.same(names({}, { sort: 'size' }), ['web2', 'web10', 'api', 'Db'])
  t.same(names({}, { sort: '-size' }), ['api', 'web2', 'web10', 'Db'])
  t.same(names({}, { sort: 'of' }), ['api', 'web10', 'web2', 'Db'])
  t.throws(() => names({}, { sort: '-colour' }), { code: 'LS_D_COLUMN' })
  t.same([0, 1, 2, 3].flatMap(offset => names({}, { sort: 'name', offset, limit: 1 })), names({}, { sort: 'name' }), 'pages put together are the whole')
  t.same(select(shape, all, everyRow, { sort: '', offset: 3, limit: 10 }), { matched: 4, rows: all.slice(3) })
  t.end()
})

t.test('cells as people read them', (t) => {
  t.same([0, 999, 1000, 1234567.5, -1000, 0.12345].map(numberText), ['0', '999', '1\u202f000', '1\u202f234\u202f567.5', '-1\u202f000', '0.123'])
  t.same([0, 1023, 1536, 1 << 30].map(sizeText), ['0 B', '1023 B', '1.5 KiB', '1.0 GiB'])
  t.same([0.4, 250, 1500, 61_000, 3_700_000, 90_000_000, -2000].map(spanText), ['0.4 ms', '250 ms', '1.5 s', '1 min 01', '1 h 01', '1 d 01 h', '-2.0 s'])
  t.equal(timeText(0), '1970-01-01 00:00:00.000Z')
  t.equal(timeText(9e18), '9000000000000000000', 'no date is no error')
  t.same([cellText('id', 8080), cellText('number', 8080), cellText('text', null), cellText('link', [{ key: 'a' }, { key: 'b' }])], ['8080', '8\u202f080', '', 'a, b'])
  t.end()
})

t.test('the book of work: what is under way, what came of it newest first, who waits and how often', async (t) => {
  const book = new WorkBook()
  let end: (text: string) => void = () => undefined
  const running = book.run('apply', 'by anna', async () => await new Promise<string>((resolve) => { end = resolve }))
  t.match(book.underWay, [{ process: 'apply', object: 'by anna' }])
  end('done')
  t.equal(await running, 'done')
  await t.rejects(book.run('check', '', () => { throw new Error('no such file') }), /no such file/)
  await t.rejects(book.run('verify', '', () => { throw new LockstepError('unavailable', 'LS_E_CANCELLED', 'the caller went') }))
  await book.run('read back', '', () => 1, false)
  t.same(book.underWay, [])
  t.match(book.history, [{ process: 'verify', outcome: 'canceled' }, { process: 'check', outcome: 'failed', cause: 'no such file' }, { process: 'apply', outcome: 'finished', cause: '' }])
  t.equal(book.history.length, 3)
  for (let i = 0; i < 500; i++) await book.run('many', String(i), () => i)
  t.equal(book.history.length, 200)
  t.equal(book.history[0]?.object, '499')

  book.wait('vpp', '', 100, new Error('refused'))
  book.wait('vpp', '', 200, 'refused again')
  book.wait('rings', '', -120_000, 'long ago')
  const registry = new DebugRegistry()
  for (const table of workTables(book, async () => [{ process: 'rollback', object: 'generation 2', since: 0, until: Date.now() + 60_000, cause: 'not confirmed yet' }], 'here')) registry.register(table)
  const { rows } = await registry.rows('back-offs', everyRow, never)
  t.match(rows.map(({ cells, tone }) => [cells[0], cells[3], cells[4], tone]), [['vpp', 'refused again', 2, 'warn'], ['rollback: generation 2', 'not confirmed yet', null, undefined]])
  book.settled('vpp', '')
  t.equal((await registry.rows('back-offs', everyRow, never)).rows.length, 1)
  t.equal((await registry.rows('work-history', everyRow, never)).rows[0]?.tone, 'good')
})
