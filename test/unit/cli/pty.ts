/** A program on a terminal of its own, typed to and read. The terminal is made by python3, which has it in its library. */
import { spawn, spawnSync } from 'node:child_process'
import type { Writable } from 'node:stream'
import type { Test } from 'tap'
import { comesAbout } from '../../until.js'

/** `false`: terminals can be made here. */
export const noPty: string | false = spawnSync('python3', ['-c', 'import pty; pty.openpty()']).status === 0 ? false : 'needs python3 with pty'

/** Bytes of standard input are typed; `ROWS COLUMNS` on descriptor 3 resizes; SIGTERM goes to the program, and the end of standard input ends it. */
const bridge = `
import fcntl, os, select, signal, struct, sys, termios
rows, columns = int(sys.argv[1]), int(sys.argv[2])
master, slave = os.openpty()
size = lambda fd, r, c: fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', r, c, 0, 0))
size(slave, rows, columns)
pid = os.fork()
if pid == 0:
    os.setsid()
    fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
    for fd in (0, 1, 2): os.dup2(slave, fd)
    os.closerange(3, 64)
    os.execvp(sys.argv[3], sys.argv[3:])
os.close(slave)
signal.signal(signal.SIGTERM, lambda *_: os.kill(pid, signal.SIGTERM))
sources = [0, 3, master]
while True:
    for fd in select.select(sources, [], [])[0]:
        try: data = os.read(fd, 65536)
        except OSError: data = b''
        if fd == master and data == b'':
            _, status = os.waitpid(pid, 0)
            sys.exit(os.waitstatus_to_exitcode(status) % 256)
        if data == b'':
            sources.remove(fd)
            if fd == 0: os.kill(pid, signal.SIGKILL)
        elif fd == 0: os.write(master, data)
        elif fd == 3: size(master, *map(int, data.split()[-2:]))
        else: os.write(1, data)
`

export interface Pty {
  readonly type: (text: string) => void
  readonly resize: (rows: number, columns: number) => void
  readonly terminate: () => void
  /** All that came until now. */
  readonly text: () => string
  /** Waits until what came since the last one that was seen matches, and forgets it up to there. */
  readonly sees: (what: RegExp) => Promise<boolean>
  readonly ended: Promise<number | null>
}

export function onTerminal (t: Test, argv: readonly string[], { env = {}, rows = 24, columns = 100 }: { readonly env?: Record<string, string>, readonly rows?: number, readonly columns?: number } = {}): Pty {
  const child = spawn('python3', ['-c', bridge, String(rows), String(columns), ...argv], { env: { ...process.env, TERM: 'xterm', NO_COLOR: '', ...env }, stdio: ['pipe', 'pipe', 'inherit', 'pipe'] })
  let text = ''
  let seen = 0
  child.stdout?.setEncoding('utf8').on('data', (part: string) => { text += part })
  child.stdin?.on('error', () => { /* it has ended */ })
  const ended = new Promise<number | null>(resolve => child.once('close', resolve))
  t.teardown(async () => {
    child.stdin?.end()
    await ended
  })
  const sizes = child.stdio[3] as Writable
  sizes.on('error', () => { /* it has ended */ })
  const sees = async (what: RegExp): Promise<boolean> => {
    const at = (): RegExpExecArray | null => what.exec(text.slice(seen))
    if (!await comesAbout(() => at() !== null)) return false
    const match = at()
    seen += (match?.index ?? 0) + (match?.[0].length ?? 0)
    return true
  }
  return { type: (keys) => { child.stdin?.write(keys) }, resize: (r, c) => { sizes.write(`${r} ${c}\n`) }, terminate: () => { child.kill('SIGTERM') }, text: () => text, sees, ended }
}
