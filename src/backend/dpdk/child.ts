/** One life of the process that runs DPDK: started with the table's descriptors, asked one question after the other, ended by closing its socket. */
import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { LockstepError } from '../../contract/errors.js'
import { limits } from '../../generated/layout.js'
import { status as statuses } from '../../generated/codes.js'
import { hintFor, logLevel } from './eal.js'
import { portFrame, stopFrame, takeFrames, whichFrame, type PortAnswer, type PortFigures, type PortRequest } from './wire.js'

/** Huge pages are cleared, devices are looked for. */
const START_MS = 30_000
/** A port is started, or a grace waited for. */
const ANSWER_MS = 15_000
const STOP_MS = 3000
/** Lines of it that an error shows, and how much later than an answer they may come: by another pipe. */
const LINES = 4
const LINES_MS = 20

export type LogLine = (level: 'error' | 'warn' | 'info' | 'debug', text: string) => void

export interface ChildOptions {
  readonly program: string
  readonly argv: readonly string[]
  /** Of the table. */
  readonly descriptors: readonly number[]
  readonly prefix: string
  readonly log: LogLine
  readonly onLink: (port: number, up: boolean) => void
  /** It ended, asked to or not. `clean`: between two bursts. */
  readonly onEnd: (how: { readonly clean: boolean, readonly text: string }) => void
}

export class DpdkChild {
  private seq = 0
  private readonly open = new Map<number, (a: PortAnswer | null) => void>()
  private stopping = false
  version = ''

  /** `lines`: its last complaints. */
  private constructor (private readonly process: ChildProcess, private readonly socket: Socket, private readonly ended: Promise<void>, private readonly lines: string[]) {}

  /** @throws unavailable LS_B_DPDK: it would not start, with its last words. */
  static async start (o: ChildOptions): Promise<DpdkChild> {
    const child = spawn(o.program, [...o.argv], { stdio: ['ignore', 'ignore', 'pipe', 'pipe', ...o.descriptors], cwd: '/' })
    const [, , stderr, control] = child.stdio
    if (stderr === null || stderr === undefined) throw new LockstepError('bug', 'LS_B_DPDK', 'no pipe to its standard error')
    const lines: string[] = []
    createInterface({ input: stderr as Socket }).on('line', (raw) => {
      const [, level = '6', text = raw] = /^<(\d+)>(.*)$/.exec(raw) ?? []
      if (Number(level) <= 5) lines.push(text)
      if (lines.length > LINES) lines.shift()
      o.log(logLevel(Number(level)), text)
    })
    let tellEnd: () => void = () => undefined
    const self = new DpdkChild(child, control as Socket, new Promise(resolve => { tellEnd = resolve }), lines)
    return await new Promise<DpdkChild>((resolve, reject) => {
      let started = false
      let failure = ''
      const timer = setTimeout(() => {
        failure = `no answer in ${START_MS} ms`
        child.kill('SIGKILL')
      }, START_MS)
      child.on('error', (error) => { failure = error.message })
      // after its last line: what it says is in the error
      child.on('close', (code, signal) => {
        clearTimeout(timer)
        const how = failure !== '' ? failure : signal === null ? `it ended with code ${code ?? '?'}` : `it was ended by ${signal}`
        for (const done of self.open.values()) done(null)
        self.open.clear()
        removeRuntime(o.prefix)
        tellEnd()
        if (started) o.onEnd({ clean: code === 0, text: [how, ...self.stopping ? [] : lines].join('; ') })
        else {
          const found = lines.length === 0 ? how : lines.join('; ')
          reject(new LockstepError('unavailable', 'LS_B_DPDK', 'DPDK does not start', { object: 'agent.dpdk', found, next: hintFor(found) }))
        }
      })
      let bytes: Buffer = Buffer.alloc(0)
      self.socket.on('error', () => undefined) // it ends, which is told
      self.socket.on('data', (data: Buffer) => {
        bytes = takeFrames(bytes.length === 0 ? data : Buffer.concat([bytes, data]), (said) => {
          if (said.kind === 'hello') {
            clearTimeout(timer)
            started = true
            self.version = said.version
            resolve(self)
          } else if (said.kind === 'link') o.onLink(said.port, said.up)
          else self.answered(said.seq, said.answer)
        })
      })
    })
  }

  get pid (): number { return this.process.pid ?? 0 }

  private answered (seq: number, answer: PortAnswer): void {
    this.open.get(seq)?.(answer)
    this.open.delete(seq)
  }

  /** @throws what it answered; unavailable LS_B_DPDK_GONE when it ended before. */
  private async ask (what: string, bytes: (seq: number) => Buffer): Promise<PortAnswer> {
    const seq = ++this.seq
    this.lines.length = 0
    const got = await new Promise<PortAnswer | null>((resolve) => {
      const timer = setTimeout(() => { this.process.kill('SIGKILL') }, ANSWER_MS) // it hangs: what it leaves is adopted
      this.open.set(seq, (answer) => { clearTimeout(timer); resolve(answer) })
      if (!this.socket.writable) this.open.get(seq)?.(null)
      else this.socket.write(bytes(seq))
    })
    if (got === null) throw new LockstepError('unavailable', 'LS_B_DPDK_GONE', 'the process that runs DPDK ended', { object: what, next: 'it is started again by itself; status tells' })
    if (got.status === limits.LS_OK) return got
    await sleep(LINES_MS)
    const code = statuses[got.status]
    throw new LockstepError(code?.class === undefined || code.class === 'none' ? 'unavailable' : code.class, `LS_${(code?.name ?? 'e_system').toUpperCase()}`, got.text === '' ? code?.text ?? 'refused' : got.text, { object: what, ...this.lines.length === 0 ? {} : { found: this.lines.join('; ') }, next: 'check its devargs, and the driver: dpdk-devbind.py --status' })
  }

  async add (request: PortRequest): Promise<PortAnswer> { return await this.ask(`port ${request.name}`, seq => portFrame(seq, request)) }
  async remove (port: number): Promise<void> { await this.ask(`DPDK port ${port}`, seq => whichFrame(limits.LS_DPDK_REMOVE, seq, port, 0)) }
  async bind (port: number, device: number): Promise<void> { await this.ask(`DPDK port ${port}`, seq => whichFrame(limits.LS_DPDK_BIND, seq, port, device)) }
  async enable (device: number): Promise<void> { await this.ask(`port ${device}`, seq => whichFrame(limits.LS_DPDK_ENABLE, seq, 0, device)) }
  async disable (device: number): Promise<void> { await this.ask(`port ${device}`, seq => whichFrame(limits.LS_DPDK_DISABLE, seq, 0, device)) }
  async figures (port: number): Promise<PortFigures | null> { return (await this.ask(`DPDK port ${port}`, seq => whichFrame(limits.LS_DPDK_STATS, seq, port, 0))).figures }

  /** Resolves when it ended. */
  async stop (): Promise<void> {
    this.stopping = true
    const timer = setTimeout(() => { this.process.kill('SIGKILL') }, STOP_MS)
    if (this.socket.writable) this.socket.end(stopFrame())
    await this.ended
    clearTimeout(timer)
  }
}

/** Files of a process that is gone. One that did not start may have met another of the prefix, which holds the lock of `config` then. */
function removeRuntime (prefix: string): void {
  const folder = join(process.getuid?.() === 0 ? '/var/run' : process.env['XDG_RUNTIME_DIR'] ?? '/tmp', 'dpdk', prefix)
  try {
    const config = join(folder, 'config')
    const held = existsSync(config) && readFileSync('/proc/locks', 'utf8').includes(`:${statSync(config).ino} `)
    if (!held) rmSync(folder, { recursive: true, force: true })
  } catch { /* they are in nobody's way */ }
}
