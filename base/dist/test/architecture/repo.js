/** The repository as the architecture tests see it: its root, its files, and what a TypeScript file imports. */
import { readFileSync, readdirSync, existsSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
export const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');
export const read = (file) => readFileSync(join(root, file), 'utf8');
/** Files below `dir` with one of these endings, as paths from the root; empty when the folder does not exist yet. */
export function filesBelow(dir, endings) {
    if (!existsSync(join(root, dir)))
        return [];
    return readdirSync(join(root, dir), { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile() && endings.some((ending) => entry.name.endsWith(ending)))
        .map((entry) => posix.join(entry.parentPath, entry.name).slice(root.length + 1))
        .sort();
}
/** Every static, dynamic and type import, and every `new URL('./x.js', import.meta.url)` (worker entries). */
export function importsOf(file, text = read(file)) {
    const found = ts.preProcessFile(text, true, true).importedFiles.map(({ fileName, pos }) => ({ specifier: fileName, pos }));
    for (const match of text.matchAll(/new URL\(\s*['"](\.[^'"]+\.js)['"]\s*,\s*import\.meta\.url/g))
        found.push({ specifier: match[1] ?? '', pos: match.index });
    return found.map(({ specifier, pos }) => ({
        specifier,
        file: specifier.startsWith('.') ? posix.join(posix.dirname(file), specifier).replace(/\.js$/, '.ts') : null,
        line: text.slice(0, pos).split('\n').length,
    }));
}
//# sourceMappingURL=repo.js.map