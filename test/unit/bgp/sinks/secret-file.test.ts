/** A file with a key is read whole, or refused with what to do; none of them can hold the agent up. */
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { FileSink } from '../../../../src/bgp/sinks/file.js'
import { readSecret } from '../../../../src/bgp/sinks/secret-file.js'

const directory = mkdtempSync(join(tmpdir(), 'bgpk-'))
t.teardown(() => { rmSync(directory, { recursive: true }) })
const path = join(directory, 'key')
const refused = async (name: string, bytesMax = 64): Promise<string> => await readSecret(name, bytesMax).then(() => 'it was read', (error: unknown) => error instanceof Error ? error.message : '')

t.test('a plain file of its owner, also behind a link', async t => {
  writeFileSync(path, 'x'.repeat(64), { mode: 0o600 })
  symlinkSync(path, join(directory, 'link'))
  t.equal((await readSecret(path, 64)).toString(), 'x'.repeat(64))
  t.equal((await readSecret(join(directory, 'link'), 64)).toString(), 'x'.repeat(64))
  t.match(await refused(path, 63), /more than 63 bytes; expected a key alone/)
  chmodSync(path, 0o604)
  t.match(await refused(path), /others may read or write it \(mode 604\); chmod 600 it/)
  t.match(await refused(join(directory, 'none')), /none: cannot be read: ENOENT/)
  t.match(await refused(directory), /not a plain file/)
})

t.test('a file that does not tell its size is not read to its end', async t => { t.match(await refused('/proc/self/environ', 8), /more than 8 bytes/) })

t.test('a FIFO that nobody writes to: refused at once, as a key and as a rotated file', async t => {
  const fifo = join(directory, 'log.1')
  execFileSync('mkfifo', ['-m', '600', fifo])
  t.match(await refused(fifo), /not a plain file; name one that holds the key/)
  const sink = new FileSink({ type: 'file', name: 'log', path: join(directory, 'log') }, 'n1')
  t.match(await sink.resolve('ticket', [{ subject: 'default/192.0.2.1', state: 'up', rttNs: 0, cause: 'first', decidedAt: 0 }]), [{ kind: 'transient' }])
})
