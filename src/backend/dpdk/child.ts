/** One life of the process that runs DPDK: started with the table's descriptors, asked one question after the other, ended by closing its socket. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { LockstepError } from '../../contract/errors.js'
import { limits } from '../../generated/layout.js'
import { status as statuses } from '../../generated/codes.js'
import { causeOf } from '../../lib/cause-of.js'
import { hintFor, isMemory, logLevel, portHintFor } from './eal.js'
import { removeRuntime, runtimeDirectory } from './runtime.js'
import { portFrame, stopFrame, takeFrames, whichFrame, type PortAnswer, type PortFigures, type PortRequest } from './wire.js'

/** Huge pages are cleared, devices are looked for. */
const START_MS = 30_000
/** A port is started, or a grace waited for. */
const ANSWER_MS = 15_000
/** Of whoever is waited for no longer than that: one who ends, and one from whose ports another takes over. */
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
  /** What its memory has to hold, for an error: `16384 buffers of 2048 bytes in 128 MiB`. */
  readonly needs: string
  /** Ends a start that is under way, at once. */
  readonly signal: AbortSignal
  readonly log: LogLine
  readonly onLink: (port: number, up: boolean) => void
  /** It ended, asked to or not. `clean`: between two bursts. */
  readonly onEnd: (how: { readonly clean: boolean, readonly text: string }) => void
}

interface Question { readonly what: string, readonly done: (a: PortAnswer | null) => void, timer: NodeJS.Timeout }

interface Pipes { readonly child: ChildProcess, readonly stderr: Readable, readonly control: Socket }

export class DpdkChild {
  private seq = 0
  private readonly open = new Map<number, Question>()
  private stopping = false
  /** Why we ended it; '': we did not. */
  private why = ''
  version = ''

  /** `lines`: its last complaints. */
  private constructor (private readonly process: ChildProcess, private readonly socket: Socket, private readonly ended: Promise<void>, private readonly lines: string[]) {}

  /** @throws unavailable LS_B_DPDK: it would not start, with its last words. */
  static async start (o: ChildOptions): Promise<DpdkChild> {
    const { child, stderr, control } = await spawned(o)
    const lines: string[] = []
    createInterface({ input: stderr }).on('line', (raw) => {
      const [, level = '6', text = raw] = /^<(\d+)>(.*)$/.exec(raw) ?? []
      if (Number(level) <= 5) lines.push(text)
      if (lines.length > LINES) lines.shift()
      o.log(logLevel(Number(level)), text)
    })
    let tellEnd: () => void = () => undefined
    const self = new DpdkChild(child, control, new Promise(resolve => { tellEnd = resolve }), lines)
    return await new Promise<DpdkChild>((resolve, reject) => {
      let started = false
      const timer = setTimeout(() => { self.kill(`it said nothing in ${START_MS / 1000} s`) }, START_MS)
      const giveUp = (): void => { self.kill('nobody waits for it any more') }
      const begun = (): void => {
        clearTimeout(timer)
        o.signal.removeEventListener('abort', giveUp)
      }
      if (o.signal.aborted) giveUp()
      else o.signal.addEventListener('abort', giveUp)
      child.on('error', (error) => { self.why = error.message })
      // after its last line: what it says is in the error
      child.on('close', (code, signal) => {
        begun()
        const how = self.why !== '' ? self.why : signal === null ? `it ended with code ${code ?? '?'}` : `it was ended by ${signal}`
        for (const { timer, done } of self.open.values()) {
          clearTimeout(timer)
          done(null)
        }
        self.open.clear()
        removeRuntime(o.prefix)
        tellEnd()
        if (started) o.onEnd({ clean: code === 0, text: [how, ...self.stopping ? [] : lines].join('; ') })
        else reject(refused(o, [...lines, ...lines.length === 0 || self.why !== '' ? [how] : []].join('; ')))
      })
      let bytes: Buffer = Buffer.alloc(0)
      control.on('error', () => undefined) // it ends, which is told
      control.on('data', (data: Buffer) => {
        bytes = takeFrames(bytes.length === 0 ? data : Buffer.concat([bytes, data]), (said) => {
          if (said.kind === 'hello') {
            begun()
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

  /** What it leaves is adopted. */
  private kill (why: string): void {
    if (this.why === '') this.why = why
    this.process.kill('SIGKILL')
  }

  private killLater ({ what }: Pick<Question, 'what'>, ms: number): NodeJS.Timeout {
    return setTimeout(() => { this.kill(`it hangs: no answer about ${what} in ${ms / 1000} s`) }, ms)
  }

  /** Somebody waits for the end of what is asked now: one that does not answer soon is ended. */
  hurry (): void {
    for (const question of this.open.values()) {
      clearTimeout(question.timer)
      question.timer = this.killLater(question, STOP_MS)
    }
  }

  private answered (seq: number, answer: PortAnswer | null): void {
    const question = this.open.get(seq)
    if (question === undefined) return
    this.open.delete(seq)
    clearTimeout(question.timer)
    question.done(answer)
  }

  /** @throws what it answered; unavailable LS_B_DPDK_GONE when it ended before. */
  private async ask (what: string, bytes: (seq: number) => Buffer, ms = ANSWER_MS): Promise<PortAnswer> {
    const seq = ++this.seq
    this.lines.length = 0
    const got = await new Promise<PortAnswer | null>((done) => {
      this.open.set(seq, { what, done, timer: this.killLater({ what }, ms) })
      if (this.socket.writable) this.socket.write(bytes(seq))
      else this.answered(seq, null)
    })
    if (got === null) throw new LockstepError('unavailable', 'LS_B_DPDK_GONE', 'the process that runs DPDK ended', { object: what, ...this.why === '' ? {} : { found: this.why }, next: 'it is started again by itself; status tells' })
    if (got.status === limits.LS_OK) return got
    await sleep(LINES_MS)
    const code = statuses[got.status]
    const text = got.text === '' ? code?.text ?? 'refused' : got.text
    const found = this.lines.join('; ')
    throw new LockstepError(code?.class === undefined || code.class === 'none' ? 'unavailable' : code.class, `LS_${(code?.name ?? 'e_system').toUpperCase()}`, text, { object: what, ...found === '' ? {} : { found }, next: portHintFor(`${text}; ${found}`) })
  }

  async add (request: PortRequest): Promise<PortAnswer> { return await this.ask(`port ${request.name}`, seq => portFrame(seq, request)) }
  async remove (port: number): Promise<void> { await this.ask(`DPDK port ${port}`, seq => whichFrame(limits.LS_DPDK_REMOVE, seq, port, 0), STOP_MS) }
  async bind (port: number, device: number): Promise<void> { await this.ask(`DPDK port ${port}`, seq => whichFrame(limits.LS_DPDK_BIND, seq, port, device)) }
  async enable (device: number): Promise<void> { await this.ask(`port ${device}`, seq => whichFrame(limits.LS_DPDK_ENABLE, seq, 0, device)) }
  async disable (device: number): Promise<void> { await this.ask(`port ${device}`, seq => whichFrame(limits.LS_DPDK_DISABLE, seq, 0, device), STOP_MS) }
  async figures (port: number): Promise<PortFigures | null> { return (await this.ask(`DPDK port ${port}`, seq => whichFrame(limits.LS_DPDK_STATS, seq, port, 0))).figures }

  /** Resolves when it ended; whatever it was asked ends with it. */
  async stop (): Promise<void> {
    this.stopping = true
    const timer = setTimeout(() => { this.kill(`it did not end in ${STOP_MS / 1000} s`) }, STOP_MS)
    if (this.socket.writable) this.socket.end(stopFrame())
    await this.ended
    clearTimeout(timer)
  }
}

/** @throws unavailable LS_B_DPDK: there is no such file, no descriptor left, no right to run it. */
async function spawned (o: ChildOptions): Promise<Pipes> {
  try {
    const child = spawn(o.program, [...o.argv], { stdio: ['ignore', 'ignore', 'pipe', 'pipe', ...o.descriptors], cwd: '/', env: { ...process.env, RUNTIME_DIRECTORY: runtimeDirectory() } })
    // Without descriptors for its pipes there is none of them, and no end of it: only the error.
    const stdio = child.stdio as ChildProcess['stdio'] | undefined
    const [, , stderr, control] = stdio ?? []
    if (stderr != null && control != null) return { child, stderr: stderr as Readable, control: control as Socket }
    const [error] = await once(child, 'error') as [Error]
    throw error
  } catch (error) {
    throw refused(o, `${o.program}: ${causeOf(error)}`)
  }
}

const refused = ({ needs }: ChildOptions, found: string): LockstepError =>
  new LockstepError('unavailable', 'LS_B_DPDK', 'DPDK does not start', { object: 'agent.dpdk', found, ...isMemory(found) ? { expected: needs } : {}, next: hintFor(found) })
