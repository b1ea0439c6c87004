/** The repository as the architecture tests see it: its root, its files, and what a TypeScript file imports. */
import { readFileSync, readdirSync, existsSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

export const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..')

export const read = (file: string): string => readFileSync(join(root, file), 'utf8')

/** Files below `dir` with one of these endings, as paths from the root; empty when the folder does not exist yet. */
export function filesBelow(dir: string, endings: readonly string[]): string[] {
  if (!existsSync(join(root, dir))) return []
  return readdirSync(join(root, dir), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && endings.some((ending) => entry.name.endsWith(ending)))
    .map((entry) => posix.join(entry.parentPath, entry.name).slice(root.length + 1))
    .sort()
}

export interface Import {
  /** As written. */
  specifier: string
  /** The .ts file it means, as a path from the root; null for a package or a node: module. */
  file: string | null
  line: number
}

/** `x.js` is written in x.ts or x.tsx. */
function sourceOf(file: string): string {
  const [plain, jsx] = [file.replace(/\.js$/, '.ts'), file.replace(/\.js$/, '.tsx')]
  return !existsSync(join(root, plain)) && existsSync(join(root, jsx)) ? jsx : plain
}

/** Every static, dynamic and type import, and every `new URL('./x.js', import.meta.url)` (worker entries). */
export function importsOf(file: string, text: string = read(file)): Import[] {
  const found = ts.preProcessFile(text, true, true).importedFiles.map(({ fileName, pos }) => ({ specifier: fileName, pos }))
  for (const match of text.matchAll(/new URL\(\s*['"](\.[^'"]+\.js)['"]\s*,\s*import\.meta\.url/g)) found.push({ specifier: match[1] ?? '', pos: match.index })
  return found.map(({ specifier, pos }) => ({
    specifier,
    file: specifier.startsWith('.') ? sourceOf(posix.join(posix.dirname(file), specifier)) : null,
    line: text.slice(0, pos).split('\n').length,
  }))
}
