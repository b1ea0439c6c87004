/** docs/design/0005-hazards.md names tests that exist, answers or postpones every number once, and answers what tests say they show. */
import t from 'tap'
import { dirname, join, normalize } from 'node:path'
import { filesBelow, read } from './repo.js'

const page = 'docs/design/0005-hazards.md'
const LAST = 96
/** What concerns the table, translation and installs: answered, not postponed. */
const REQUIRED = [20, 21, 22, 23, 24, 25, 26, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 45, 60, 79, 80, 81, 82]

interface Row { readonly number: number, readonly answer: string }
const text = read(page)
const rows: Row[] = [...text.matchAll(/^\| (\d+) \|[^|]*\|(.*)\|$/gm)].map(([, n, answer]) => ({ number: Number(n), answer: answer ?? '' }))
const later = (/^Later, [^]*?:\n([\d, ]+)\.$/m.exec(text)?.[1] ?? '').split(', ').map(Number)

interface Quote { readonly name: string, readonly file: string }

/** `name` [..](file), or several names joined by "and" before one file. */
function quotesOf (answer: string): Quote[] {
  return [...answer.matchAll(/((?:`[^`]+` and )*`[^`]+`) \[[^\]]*\]\(([^)]+)\)/g)].flatMap(([, names = '', file = '']) =>
    [...names.matchAll(/`([^`]+)`/g)].map(([, name = '']) => ({ name, file: normalize(join(dirname(page), file)) })))
}

/** Is it the whole name of a test there? A seed may follow in a name that is a template. */
function exists ({ name, file }: Quote): boolean {
  const source = read(file).replaceAll("\\'", "'")
  return ['"', "'", '`'].some((quote) => source.includes(`${quote}${name}${quote}`) || source.includes(`${quote}${name} (LOCKSTEP_TEST_SEED`))
}

t.test('every test that the page names exists', async (t) => {
  const quotes = rows.flatMap(({ answer }) => quotesOf(answer))
  t.ok(quotes.length > rows.length, `${quotes.length} names in ${rows.length} rows`)
  t.same(quotes.filter((quote) => !exists(quote)).map(({ name, file }) => `${file}: ${name}`), [])
  t.equal(exists({ name: 'H26 a delayed delete misses', file: 'test/native/table_test.c' }), false, 'half a name is none')
})

t.test('every row names a test', async (t) => {
  t.same(rows.filter(({ answer }) => quotesOf(answer).length === 0).map(({ number }) => number), [])
})

t.test('every number is answered or postponed, once', async (t) => {
  t.same([...rows.map(({ number }) => number), ...later].sort((a, b) => a - b), Array.from({ length: LAST }, (_, i) => i + 1))
})

t.test('what concerns table, translation and install has a row', async (t) => {
  const answered = new Set(rows.map(({ number }) => number))
  t.same(REQUIRED.filter((n) => !answered.has(n)), [])
})

t.test('a number that a test shows has a row', async (t) => {
  const answered = new Set(rows.map(({ number }) => number))
  const sources = filesBelow('test', ['.c', '.ts']).filter((file) => file !== 'test/architecture/hazards.test.ts')
  const shown = sources.flatMap((file) => [...read(file).matchAll(/(?:TEST|withRig|test)\(["'`]((?:H\d+[, ]+)+)/g)]
    .flatMap((match) => [...(match[1] ?? '').matchAll(/\d+/g)].map(([n]) => ({ file, n: Number(n) }))))
  t.ok(shown.length > 20, `${shown.length} found`)
  t.same(shown.filter(({ n }) => !answered.has(n)).map(({ file, n }) => `${file}: H${n}`), [])
})
