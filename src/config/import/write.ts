/** The imported configuration as YAML that people read: small things on one line, a comment where something needs attention. */
import { Document, isCollection, isMap, isScalar, isSeq, type Node, type Pair } from 'yaml'

export interface Comment { readonly path: readonly string[], readonly text: string }

export interface Draft {
  /** Sections in the order in which they are written; empty ones are left out. */
  readonly config: Readonly<Record<string, unknown>>
  readonly comments: readonly Comment[]
}

const lineMax = 140

/** `head`: lines above everything. */
export function writeYaml (draft: Draft, head: readonly string[]): string {
  const sections = Object.fromEntries(Object.entries(draft.config).filter(([, value]) => !isEmpty(value)))
  const doc = new Document(sections, { schema: 'core', aliasDuplicateObjects: false })
  if (isMap(doc.contents)) for (const pair of doc.contents.items as Pair[]) shape(pair.value as Node, 0)
  for (const { path, text } of draft.comments) comment(doc, path, text)
  if (isMap(doc.contents)) for (const { key } of (doc.contents.items as Pair[]).slice(1)) if (isScalar(key)) key.spaceBefore = true
  doc.commentBefore = head.map(line => ` ${oneLine(line)}`).join('\n')
  // The library throws for what it cannot print; nothing here is of that kind.
  const body = Object.keys(sections).length === 0 ? '' : doc.toString({ lineWidth: 0, flowCollectionPadding: false })
  return body === '' ? head.map(line => `# ${oneLine(line)}\n`).join('') : body
}

const isEmpty = (value: unknown): boolean => value === undefined || (typeof value === 'object' && value !== null && Object.keys(value).length === 0)
const oneLine = (text: string): string => text.replace(/\s+/g, ' ')

/** Items of lists, lists of plain values and maps of plain values go on one line when they fit. Returns the length on one line. */
function shape (node: Node | null, depth: number): number {
  if (isScalar(node)) return String(node.value).length + 2
  if (!isCollection(node)) return 4
  // A number that became a key is written as one.
  if (isMap(node)) for (const { key } of node.items as Pair[]) if (isScalar(key) && /^\d{1,4}$/.test(String(key.value))) key.value = Number(key.value)
  const items = isMap(node) ? (node.items as Pair[]).map(pair => [String(isScalar(pair.key) ? pair.key.value : ''), pair.value as Node] as const) : isSeq(node) ? (node.items as Node[]).map(item => ['', item] as const) : []
  const length = items.reduce((sum, [key, item]) => sum + key.length + 4 + shape(item, depth + 1), 2)
  const plain = items.every(([, item]) => !isCollection(item) || (isSeq(item) && item.flow === true))
  const short = isSeq(node) ? items.every(([, item]) => isScalar(item)) : plain && depth >= 2
  node.flow = short && length <= lineMax
  return length
}

function comment (doc: Document, path: readonly string[], text: string): void {
  const parent = path.length === 1 ? doc.contents : doc.getIn(path.slice(0, -1), true)
  const last = path.at(-1) ?? ''
  const at = isMap(parent) ? (parent.items as Pair[]).find(pair => isScalar(pair.key) && String(pair.key.value) === last)?.key : isSeq(parent) ? parent.items[Number(last)] : undefined
  if (isScalar(at) || isCollection(at)) at.commentBefore = [at.commentBefore, ` ${oneLine(text)}`].filter(part => part !== undefined && part !== null).join('\n')
}
