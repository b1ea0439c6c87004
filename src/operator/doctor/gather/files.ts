/** Reads files of the kernel; those of /proc/sys/net and /proc/net belong to a network namespace, and a process in it reads them. */
import { readFile } from 'node:fs/promises'
import { isUnseen, known, mapSeen, unseen, type Seen } from '../seen.js'
import { notRoot, runTool } from './tool.js'

export async function readText (path: string): Promise<Seen<string>> {
  try {
    return known((await readFile(path, 'utf8')).trim(), path)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return code === 'EACCES' || code === 'EPERM' ? notRoot(path) : unseen(code === 'ENOENT' ? 'this kernel does not have it' : message, path)
  }
}

/** Whole contents by path; files that do not exist, or may not be read, are absent. */
export async function readAll (netns: string | null, paths: readonly string[], signal?: AbortSignal): Promise<Seen<ReadonlyMap<string, string>>> {
  const source = paths.length === 1 ? paths[0] ?? '' : `${paths[0] ?? ''} ...`
  if (netns === null) {
    const read = await Promise.all(paths.map(async (path) => [path, await readText(path)] as const))
    return known(new Map(read.flatMap(([path, seen]) => isUnseen(seen) ? [] : [[path, seen.value] as const])), source)
  }
  // Exit code 1: all empty; 2: one could not be read.
  const out = await runTool('grep', ['-sH', '', '--', ...paths], { netns, signal, alsoOk: [1, 2] })
  return mapSeen(out, (text) => {
    const files = new Map<string, string>()
    for (const line of text.split('\n')) {
      const path = paths.find((p) => line.startsWith(`${p}:`))
      if (path === undefined) continue
      const value = line.slice(path.length + 1)
      files.set(path, files.has(path) ? `${files.get(path) ?? ''}\n${value}` : value)
    }
    return files
  })
}
