/**
 * YAML 1.2 text -> plain values and the place of each. Input may be hostile: size, nesting, number of values (aliases counted as often as
 * they are used), duplicate keys, tags and encoding are bounded or refused here. Objects have no prototype. Nothing throws.
 */
import { isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, type Document, type Node, type Pair, type ParsedNode } from 'yaml'
import { Issues, pointer, pointerKeys, type Locate, type Position } from './issues.js'

export const bytesMax = 4 * 1024 * 1024
const depthMax = 32
const valuesMax = 250_000

export interface YamlResult {
  readonly value: unknown
  readonly locate: Locate
  /** Complaints about the text; `value` is then incomplete. */
  readonly issues: Issues
  readonly text: string
}

export function readYaml (input: string | Uint8Array): YamlResult {
  const failed = (code: 'LS_C_SIZE' | 'LS_C_ENCODING' | 'LS_C_SYNTAX', message: string, found: unknown, expected: string, text = ''): YamlResult => {
    const issues = new Issues(() => ({ line: 1, column: 1 }))
    issues.add('', code, message, found, expected)
    return { value: undefined, locate: () => null, issues, text }
  }
  const bytes = typeof input === 'string' ? Buffer.byteLength(input) : input.byteLength
  if (bytes > bytesMax) return failed('LS_C_SIZE', 'the file is too large', bytes, `at most ${bytesMax} bytes`)
  let text: string
  try {
    text = typeof input === 'string' ? input : new TextDecoder('utf-8', { fatal: true }).decode(input)
  } catch {
    return failed('LS_C_ENCODING', 'the file is not UTF-8', `a bad byte near offset ${firstBadByte(input as Uint8Array)}`, 'UTF-8 text')
  }
  const control = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/.exec(text)
  if (control !== null) return failed('LS_C_ENCODING', 'the file contains a control character', `U+${control[0].charCodeAt(0).toString(16).padStart(4, '0')} at offset ${control.index}`, 'text', text)
  const deep = nesting(text)
  if (deep !== null) return failed('LS_C_SIZE', 'values are nested too deeply', deep, `at most ${depthMax} levels`, text)

  const lines = new LineCounter()
  let doc: Document.Parsed<ParsedNode>
  // Hostile text makes an error per character; a stack trace for each would take most of the time.
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  try {
    // Duplicate keys are looked for below: the library's own check is quadratic.
    doc = parseDocument(text, { uniqueKeys: false, merge: false, lineCounter: lines, prettyErrors: false, logLevel: 'error', schema: 'core' })
  } catch (error) {
    if (error instanceof RangeError) return failed('LS_C_SIZE', 'values are nested too deeply', 'more than the parser can hold', `at most ${depthMax} levels`, text)
    return failed('LS_C_SYNTAX', 'the text cannot be parsed', error instanceof Error ? error.message : error, 'YAML', text)
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(Math.min(Math.max(offset, 0), text.length))
    return { line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  const index = new WeakMap<object, Map<string, Pair<Node | null, Node | null>>>()
  const locate: Locate = path => placeOf(doc, path, at, index)
  let offset = 0
  const issues = new Issues(path => path === '' ? at(offset) : locate(path))
  for (const error of [...doc.errors, ...doc.warnings]) {
    if (issues.full) {
      issues.drop(1)
      continue
    }
    offset = error.pos[0]
    if (/call stack/.test(error.message)) issues.add('', 'LS_C_SIZE', 'values are nested too deeply', 'more than the parser can hold', `at most ${depthMax} levels`)
    else issues.add('', 'LS_C_SYNTAX', error.message.replace(/\s+/g, ' ').slice(0, 200), text.slice(error.pos[0], error.pos[1]).slice(0, 40), 'valid YAML 1.2')
  }
  const value = issues.count > 0 ? undefined : new Plain(issues).convert(doc)
  return { value, locate, issues, text }
}

/** Offset of the byte at which decoding fails: the bad one, or the one after a sequence cut short. */
function firstBadByte (bytes: Uint8Array): number {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  for (let i = 0; i < bytes.length; i++) {
    try { decoder.decode(bytes.subarray(i, i + 1), { stream: true }) } catch { return i }
  }
  return bytes.length
}

/** An upper bound of the nesting, by indentation and brackets, before the recursive parser sees it; `null` when harmless. */
function nesting (text: string): number | null {
  let brackets = 0
  let worst = 0
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c === 0x5b || c === 0x7b) worst = Math.max(worst, ++brackets)
    else if ((c === 0x5d || c === 0x7d) && brackets > 0) brackets--
  }
  for (let i = 0; i < text.length; i = text.indexOf('\n', i) + 1 || text.length) {
    // Leading `- - ? -` of one line: each opens a collection.
    for (let run = 0; i < text.length; i++) {
      const c = text[i]
      if (c === ' ') continue
      const next = text[i + 1]
      if ((c !== '-' && c !== '?') || (next !== undefined && next !== ' ' && next !== '\n')) break
      worst = Math.max(worst, ++run)
    }
  }
  // Brackets inside strings and comments count too, so only an absurd number is refused here; convert() has the exact bound.
  return worst > 500 ? worst : null
}

const isPlainKey = (key: unknown): key is string | number | boolean => typeof key === 'string' || typeof key === 'number' || typeof key === 'boolean'

/** Document order walk; anchors hold finished values with their expanded size. */
class Plain {
  private readonly anchors = new Map<string, { value: unknown, size: number } | null>()
  private values = 0

  constructor (private readonly issues: Issues) {}

  convert (doc: Document.Parsed<ParsedNode>): unknown {
    try {
      return this.node(doc.contents, '', 0)
    } catch (error) {
      if (!(error instanceof Refused)) this.issues.add('', 'LS_C_SYNTAX', 'the text cannot be read', error instanceof Error ? error.message : error, 'YAML')
      return undefined
    }
  }

  private refuse (path: string, message: string, found: unknown, expected: string): never {
    this.issues.add(path, 'LS_C_SIZE', message, found, expected)
    throw new Refused()
  }

  private grow (path: string, by: number): void {
    this.values += by
    if (this.values > valuesMax) this.refuse(path, 'the file holds too many values', this.values, `at most ${valuesMax}, aliases counted as often as used`)
  }

  private node (node: Node | null, path: string, depth: number): unknown {
    if (depth > depthMax) this.refuse(path, 'values are nested too deeply', depth, `at most ${depthMax} levels`)
    this.grow(path, 1)
    if (node === null) return null
    if (isAlias(node)) {
      const target = this.anchors.get(node.source)
      if (target === undefined) this.refuse(path, 'the alias has no anchor before it', `*${node.source}`, 'an anchor defined above')
      if (target === null) this.refuse(path, 'the alias is inside its own anchor', `*${node.source}`, 'an anchor defined above')
      this.grow(path, target.size)
      return target.value
    }
    const anchor = 'anchor' in node ? node.anchor : undefined
    const before = this.values
    if (anchor !== undefined) this.anchors.set(anchor, null)
    const value = this.content(node, path, depth)
    if (anchor !== undefined) this.anchors.set(anchor, { value, size: this.values - before + 1 })
    return value
  }

  private content (node: Node, path: string, depth: number): unknown {
    if (isSeq(node)) return node.items.map((item, i) => this.node(item as Node, pointer(path, i), depth + 1))
    if (isMap(node)) {
      const out = Object.create(null) as Record<string, unknown>
      for (const pair of node.items as Array<Pair<Node | null, Node | null>>) {
        const key = isScalar(pair.key) ? pair.key.value : pair.key === null ? '' : undefined
        if (!isPlainKey(key) || String(key).length > 256) {
          this.issues.add(path, 'LS_C_SYNTAX', 'a key must be a short plain value', isPlainKey(key) ? String(key) : 'a collection or null', 'text')
          continue
        }
        const child = pointer(path, String(key))
        if (String(key) in out) this.issues.add(child, 'LS_C_DUPLICATE_KEY', 'the key is given twice', String(key), 'each key once')
        out[String(key)] = this.node(pair.value, child, depth + 1)
      }
      return out
    }
    if (isScalar(node)) {
      const { value } = node
      if (value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value
      if (typeof value === 'bigint') return Number(value)
      this.issues.add(path, 'LS_C_SYNTAX', 'not a plain value', node.tag ?? typeof value, 'text, a number, true, false or null, without a tag')
      return undefined
    }
    return undefined
  }
}
class Refused extends Error {}

/** Place of the key (in a map) or the item (in a list) that `path` names; of the nearest parent when it is not in the text. */
function placeOf (doc: Document.Parsed<ParsedNode>, path: string, at: (offset: number) => Position, index: WeakMap<object, Map<string, Pair<Node | null, Node | null>>>): Position {
  let node: Node | null = doc.contents
  let offset = node?.range?.[0] ?? 0
  for (const key of pointerKeys(path)) {
    if (isAlias(node)) node = node.resolve(doc) as Node | null ?? null
    if (isMap(node)) {
      let pairs = index.get(node)
      if (pairs === undefined) {
        pairs = new Map((node.items as Array<Pair<Node | null, Node | null>>).flatMap(pair => isScalar(pair.key) ? [[String(pair.key.value), pair] as const] : []))
        index.set(node, pairs)
      }
      const pair = pairs.get(key)
      if (pair === undefined) break
      offset = pair.key?.range?.[0] ?? offset
      node = pair.value
    } else if (isSeq(node)) {
      const item = node.items[Number(key)] as Node | null | undefined
      if (item === null || item === undefined) break
      offset = item.range?.[0] ?? offset
      node = item
    } else break
  }
  return at(offset)
}
