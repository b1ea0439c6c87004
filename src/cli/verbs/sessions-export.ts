/** sessions export: the sessions as a file that data tools read. */
import { open, rename, rm, stat, type FileHandle } from 'node:fs/promises'
import type { Command } from 'commander'
import { LockstepError } from '../../contract/errors.js'
import { column as columnCodes } from '../../generated/codes.js'
import { withAgent } from '../agent-link.js'
import { messages } from '../client.js'
import { exitCode } from '../exit-codes.js'
import { addFilterOptions, filterMessage, type FilterOptions } from '../filter-options.js'
import { bytes, parseCount } from '../format.js'
import { toJson } from '../../lib/json.js'
import { action, onlineVerb, type Cli, type CommonOptions } from '../verb.js'

interface ExportOptions extends CommonOptions, FilterOptions { readonly limit?: number, readonly columns?: string }

export function addExport (sessions: Command, cli: Cli): void {
  addFilterOptions(onlineVerb(sessions, {
    usage: 'export <file>',
    summary: 'Write sessions as an Arrow stream, for pandas, Polars or DuckDB',
    about: 'Names in the place of ids, addresses as text. What was there stays until the new file is whole; a device or a pipe (/dev/stdout) is written as it comes. In Python: pyarrow.ipc.open_stream("sessions.arrows").read_pandas().',
    examples: ['sessions export sessions.arrows', 'sessions export web.arrows --vip web --columns src,bytes_reply', 'sessions export /dev/stdout | python3 report.py']
  }))
    .option('--limit <n>', 'at most this many', parseCount)
    .option('--columns <names>', `these columns, comma separated, of: ${columnCodes.map((c) => c.name).join(' ')}`)
    .action(action(cli, async (file: string, options: ExportOptions) => await exportTo(cli, file, options)))
}

async function exportTo ({ io }: Cli, file: string, options: ExportOptions): Promise<number> {
  const whole = (await stat(file).catch(() => null))?.isFile() !== false
  const path = whole ? `${file}.part` : file
  const out = await writing(path, async () => await open(path, 'w', 0o600))
  let size = 0
  try {
    await withAgent(io, options, async ({ sessions }) => {
      const columns = options.columns?.split(',').map(name => name.trim()).filter(name => name !== '') ?? []
      for await (const { arrow } of messages(sessions.export({ filter: filterMessage(options), columns, limit: BigInt(options.limit ?? 0) }), io.signal)) {
        await writing(path, async () => await all(out, arrow))
        size += arrow.length
      }
    })
    await out.close()
    if (whole) await writing(file, async () => { await rename(path, file) })
  } catch (error) {
    await out.close().catch(() => undefined)
    if (whole) await rm(path, { force: true })
    throw error
  }
  if (options.json === true) await io.out(`${toJson({ file, bytes: size })}\n`)
  else io.err(`${bytes(size)}B to ${file}\n`)
  return exitCode.ok
}

async function all (out: FileHandle, data: Uint8Array): Promise<void> {
  for (let at = 0; at < data.length;) at += (await out.write(data, at)).bytesWritten
}

async function writing<T> (path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException
    if (code === 'EPIPE') throw cause
    throw new LockstepError('unavailable', 'LS_U_OUTPUT', 'the file cannot be written', { object: path, found: code ?? message }, cause)
  }
}
