/**
 * The keeper as the agent has it: a connection that stays open as long as the agent lives. While it is open the agent frees sessions; when it ends, however
 * that happens, the keeper does (native/keeper/keeper.c).
 */
import { spawn } from 'node:child_process'
import { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { LockstepError } from '../../contract/errors.js'
import { keeperProgram, loadEbpf } from '../../native/load-ebpf.js'

/** It lets go between two batches; adoption of a large table may be under way. */
const YOURS_MS = 15_000
const START_MS = 5000

export class Keeper {
  private constructor (private readonly socket: Socket) { socket.unref() }

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
        if (heard.includes('yours\n')) done(new Keeper(socket))
      })
    })
  }

  /** Starts one for a folder whose table is pinned, and meets it. `null`: it was not built. */
  static async start (folder: string, netns: string): Promise<Keeper | null> {
    const program = keeperProgram()
    if (program === null) return null
    const child = spawn(program, [folder, netns], { detached: true, stdio: 'ignore', cwd: '/' })
    child.on('error', () => undefined)
    child.unref()
    for (const end = Date.now() + START_MS; Date.now() < end; await sleep(20)) {
      const keeper = await Keeper.meet(folder)
      if (keeper !== null) return keeper
    }
    throw new LockstepError('unavailable', 'LS_B_KEEPER', 'the keeper does not answer', { object: program, found: `no connection in ${START_MS} ms`, next: 'start it by hand to see why: it takes the folder as its argument' })
  }

  /** The role goes to the keeper. */
  leave (): void { this.socket.destroy() }

  /** It ends. */
  async quit (): Promise<void> {
    await new Promise<void>((resolve) => {
      this.socket.ref().on('close', () => { resolve() })
      this.socket.end('quit\n')
      setTimeout(() => { this.socket.destroy(); resolve() }, 1000).unref()
    })
  }
}
