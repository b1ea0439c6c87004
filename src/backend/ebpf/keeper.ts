/**
 * The keeper as the agent has it: a connection that stays open as long as the agent lives. While it is open the agent frees sessions; when it ends, however
 * that happens, the keeper does (native/keeper/keeper.c).
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { LockstepError } from '../../contract/errors.js'
import { keeperProgram, loadEbpf } from '../../native/load-ebpf.js'

/** It lets go between two batches; adoption of a large table may be under way. */
const YOURS_MS = 15_000
const START_MS = 5000

const digest = (file: string): string => createHash('sha256').update(readFileSync(file)).digest('hex')

export class Keeper {
  private leaving = false
  private constructor (private readonly socket: Socket, readonly pid: number) { socket.unref() }

  /** The keeper that runs for this folder, once it has let go of the role; `null`: none runs. */
  static async meet (folder: string): Promise<Keeper | null> {
    const fd = loadEbpf().addon?.keeper(folder) ?? -1
    if (fd === -1) return null
    const socket = new Socket({ fd, readable: true, writable: true })
    return await new Promise<Keeper | null>((resolve, reject) => {
      let heard = ''
      const timer = setTimeout(() => {
        socket.destroy()
        reject(new LockstepError('unavailable', 'LS_B_KEEPER', 'the keeper does not let go of the table', { object: folder, found: `no answer in ${YOURS_MS} ms`, next: 'end lockstep-keeper of this instance' }))
      }, YOURS_MS)
      const done = (keeper: Keeper | null): void => { clearTimeout(timer); resolve(keeper) }
      socket.on('error', () => { done(null) })
      socket.on('close', () => { done(null) })
      socket.on('data', (data) => {
        heard += data.toString()
        const yours = /^yours (\d+)\n/.exec(heard)
        if (yours !== null) done(new Keeper(socket, Number(yours[1])))
      })
    })
  }

  /** Starts one for a folder whose table is pinned, and meets it. `netns`: path of the namespace whose routes count, empty = this process's. */
  static async start (folder: string, netns: string): Promise<Keeper> {
    const program = keeperProgram()
    if (program === null) throw new LockstepError('unavailable', 'LS_B_KEEPER', 'there is no keeper', { object: 'lockstep-keeper', found: 'it was not built', next: 'npm run build' })
    const child = spawn(program, [folder, netns], { detached: true, stdio: 'ignore', cwd: '/' })
    child.on('error', () => undefined)
    child.unref()
    for (const end = Date.now() + START_MS; Date.now() < end; await sleep(20)) {
      const keeper = await Keeper.meet(folder)
      if (keeper !== null) return keeper
    }
    throw new LockstepError('unavailable', 'LS_B_KEEPER', 'the keeper does not answer', { object: program, found: `no connection in ${START_MS} ms`, next: 'start it by hand to see why: it takes the folder as its argument' })
  }

  /** Is it another program than the one of this agent, by its bytes: from before an upgrade? */
  outdated (): boolean {
    const program = keeperProgram()
    try {
      return program !== null && digest(`/proc/${this.pid}/exe`) !== digest(program)
    } catch {
      return false // it ended meanwhile, which is told otherwise
    }
  }

  /** It ended, or closed the connection, without having been asked to. */
  onGone (told: () => void): void {
    const gone = (): void => { if (!this.leaving) told() }
    if (this.socket.closed) gone()
    else this.socket.once('close', gone)
  }

  /** The role goes to the keeper. */
  leave (): void {
    this.leaving = true
    this.socket.destroy()
  }

  /** It ends. */
  async quit (): Promise<void> {
    this.leaving = true
    await new Promise<void>((resolve) => {
      this.socket.ref().on('close', () => { resolve() })
      this.socket.end('quit\n')
      setTimeout(() => { this.socket.destroy(); resolve() }, 1000).unref()
    })
  }
}
