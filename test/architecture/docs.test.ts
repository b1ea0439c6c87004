/** What the documents say is so: links lead somewhere, the table of limits has the numbers of limits.h, command lines exist. */
import t from 'tap'
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { limits } from '../../src/generated/layout.js'
import { runCli } from '../unit/cli/run-cli.js'
import { filesBelow, read, root } from './repo.js'

const documents = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...['docs', 'native', 'src', 'proto', 'examples', 'scripts', 'bench', 'test'].flatMap((dir) => filesBelow(dir, ['.md']))
]

interface Line { readonly text: string, readonly line: number, readonly fenced: boolean }

function linesOf (file: string): Line[] {
  let fenced = false
  return read(file).split('\n').map((text, i) => {
    const fence = /^\s*```/.test(text)
    if (fence) fenced = !fenced
    return { text, line: i + 1, fenced: fenced || fence }
  })
}

/** The anchor that a heading gets: lower case, punctuation away, blanks to hyphens. */
const anchorOf = (heading: string): string => heading.trim().toLowerCase().replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').replace(/[^\p{L}\p{N}\s_-]/gu, '').replace(/\s/g, '-')
const anchorsOf = (file: string): Set<string> => new Set(linesOf(file).flatMap(({ text, fenced }) => fenced ? [] : (/^#{1,6}\s+(.*)$/.exec(text)?.slice(1) ?? []).map(anchorOf)))

/** Relative links of a document that lead nowhere, as `file:line target`. */
function lostLinks (file: string): string[] {
  return linesOf(file).flatMap(({ text, line, fenced }) => {
    if (fenced) return []
    const targets = [...text.replace(/`[^`]*`/g, '``').matchAll(/\]\(([^)\s]+)(?:\s+"[^"]*")?\)/g)].map((match) => match[1] ?? '')
    return targets.filter((target) => !/^[a-z]+:/.test(target)).flatMap((target) => {
      const [path = '', anchor] = target.split('#')
      const to = path === '' ? file : normalize(join(dirname(file), path))
      if (!existsSync(join(root, to))) return [`${file}:${line} ${target}: no such file`]
      if (anchor === undefined || statSync(join(root, to)).isDirectory() || !to.endsWith('.md')) return []
      return anchorsOf(to).has(anchor) ? [] : [`${file}:${line} ${target}: no such heading`]
    })
  })
}

/** One `lockstep ...` command line of a document: the words after the program's name. */
interface Command { readonly at: string, readonly words: readonly string[] }

/** Commands of fenced blocks (a line, or what follows && ; | on it) and of code in the text. Two blanks or # end one: a remark follows. */
function commandsOf (file: string): Command[] {
  return linesOf(file).flatMap(({ text, line, fenced }) => {
    const pieces = fenced ? [text] : [...text.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? '')
    return pieces.flatMap((piece) => piece.split(/\s*(?:&&|;|\\?\|)\s*/)).flatMap((piece) => {
      const match = /^\s*(?:\$ )?(?:sudo )?(?:npx )?lockstep ([a-z][^#]*?)(?:\s{2,}.*|\s+#.*)?$/.exec(piece)
      return match === null ? [] : [{ at: `${file}:${line}`, words: (match[1] ?? '').trim().split(/[\s,]+/) }]
    })
  })
}

/** Verbs that a help page lists. */
const listed = (help: string): string[] => [...(/^Commands:\n((?: {2,}.*\n?)+)/m.exec(help)?.[1] ?? '').matchAll(/^ {2}([a-z][a-z-]*)/gm)].map((match) => match[1] ?? '').filter((name) => name !== 'help')

interface Help { readonly code: number, readonly text: string }

async function inProcess (path: readonly string[]): Promise<Help> {
  const { code, out, err } = await runCli([...path, '--help'], { width: 200 })
  return { code, text: out + err }
}

/** These have a program of their own behind them, which writes to the process's own output. */
const ownPrograms = ['lab', 'bench']
function ownHelp (verb: string): Help {
  const { status, stdout } = spawnSync(process.execPath, [join(root, 'dist/src/cli/main.js'), verb, '--help'], { encoding: 'utf8', timeout: 60_000 })
  return { code: status ?? 1, text: stdout }
}

const helps = new Map<string, Help>()
async function helpOf (path: readonly string[]): Promise<Help> {
  const key = path.join(' ')
  let known = helps.get(key)
  if (known === undefined) {
    known = ownPrograms.includes(key) ? ownHelp(key) : await inProcess(path)
    helps.set(key, known)
  }
  return known
}

/** Why the program would not take this command line, or null. */
async function refusal ({ words }: Command): Promise<string | null> {
  const [verb = '', second = ''] = words
  const verbs = listed((await helpOf([])).text)
  if (!verbs.includes(verb)) return `no verb ${verb}; there are ${verbs.join(', ')}`
  const below = ownPrograms.includes(verb) ? [] : listed((await helpOf([verb])).text)
  const path = below.length === 0 ? [verb] : [verb, second]
  if (below.length > 0) {
    if (second === '' || second === '...') return null
    if (!below.includes(second)) return `no verb ${path.join(' ')}; there are ${below.join(', ')}`
  }
  const help = await helpOf(path)
  if (help.code !== 0) return `${path.join(' ')} --help ends with ${help.code}`
  const options = words.filter((word) => /^--[a-z]/.test(word)).map((word) => word.split('=')[0] ?? '')
  const unknown = options.filter((option) => !new RegExp(`${option}\\b`).test(help.text))
  return unknown.length === 0 ? null : `${path.join(' ')} has no ${unknown.join(', ')}`
}

t.test('relative links lead to files and headings', async (t) => {
  t.same(documents.flatMap(lostLinks), [])
})

t.test('the table of limits in README.md has the numbers of limits.h', async (t) => {
  const rows = linesOf('README.md').flatMap(({ text }) => {
    const match = /^\|.*\|\s*([\d ]+?)\s*(?:\([^)]*\))?\s*\|\s*`(LS_[A-Z0-9_]+)`\s*\|$/.exec(text)
    return match === null ? [] : [{ name: match[2] ?? '', value: Number((match[1] ?? '').replaceAll(' ', '')) }]
  })
  t.ok(rows.length >= 15, `found ${rows.length} rows with a number and a name of limits.h`)
  const known = limits as Readonly<Record<string, unknown>>
  t.same(rows.filter(({ name, value }) => known[name] !== value).map(({ name, value }) => `${name}: README says ${value}, limits.h ${String(known[name] ?? 'does not know it')}`), [])
})

t.test('the finder of commands finds commands', async (t) => {
  const found = commandsOf('docs/cli.md').map(({ words }) => words[0])
  for (const verb of ['run', 'status', 'sessions', 'counters', 'check', 'apply', 'confirm', 'save', 'gateway']) t.ok(found.includes(verb), verb)
})

t.test('every command line in a document is one that the program takes', async (t) => {
  const lost: string[] = []
  for (const command of documents.flatMap(commandsOf)) {
    const reason = await refusal(command)
    if (reason !== null) lost.push(`${command.at} lockstep ${command.words.join(' ')}: ${reason}`)
  }
  t.same(lost, [])
})

t.test('no document names a folder of somebody\'s machine or a private registry', async (t) => {
  const machine = /(?:^|[\s`"'(=:])\/(?:work|root|home|Users|builds|workspace|mnt|media)\/|\bregistry\.(?!npmjs\.org)[\w.-]+\.\w+|\bfile:\/\/\//
  t.same(documents.flatMap((file) => linesOf(file).filter(({ text }) => machine.test(text)).map(({ line, text }) => `${file}:${line} ${text.trim()}`)), [])
})
