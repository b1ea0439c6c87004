/** A small file of the state directory, replaced whole and durably: after a crash it is the one before or the new one. */
import { mkdir, open, rename } from 'node:fs/promises'
import { dirname } from 'node:path'

/** One call for a path at a time. @throws when it cannot be written; what was there stays. */
export async function replaceFile (path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const next = `${path}.next`
  const file = await open(next, 'w', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(next, path)
  const folder = await open(dirname(path), 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
