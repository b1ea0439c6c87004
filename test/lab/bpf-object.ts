/** Programs of the lab's own for the kernel: for hosts that have to do what this kernel was built without. */
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { must } from './shell.js'

/** Compiles NAME.bpf.c, which lies beside this file; the object's path. */
export async function bpfObject (name: string, directory: string): Promise<string> {
  const [object, source] = [join(directory, `${name}.o`), fileURLToPath(new URL(`../../../test/lab/${name}.bpf.c`, import.meta.url))]
  const machine = (await must({ netns: null, argv: ['cc', '-print-multiarch'] })).trim() // where asm/types.h is
  await must({ netns: null, argv: ['clang', '-O2', '-target', 'bpf', `-I/usr/include/${machine}`, '-c', '-o', object, source] }, 60_000)
  return object
}
