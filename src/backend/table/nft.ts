/**
 * One nft table that lives no longer than this process. The kernel binds a table with the flag `owner` to the netlink socket that made it and removes
 * it when the socket closes; so one `nft -i` for each namespace holds the table open, fed line by line. However this process ends, the pipe to
 * nft closes, nft ends, and the kernel gives the interfaces back to the host: nobody else would forward behind a chain that drops.
 */
import { spawn, type ChildProcessByStdio } from 'node:child_process'
import type { Readable, Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { LockstepError } from '../../contract/errors.js'
import { toolPath } from './probe.js'

/** It waits for nobody: one that hangs would hold every apply, and the stop. */
const NFT_MS = 10_000
const STOP_MS = 2000
/** The table of an agent that has just been killed goes with its nft, a moment later. */
const TRIES = 20
const TRY_MS = 50

type Nft = ChildProcessByStdio<Writable, null, Readable>

export class HeldTable {
  private child: Nft | null = null
  /** The table exists and is ours. */
  private made = false
  private marks = 0
  /** How often nft ended by itself, and took the table along: whoever sees it grow writes again. */
  deaths = 0

  /** `netns`: path of the namespace, empty for this one. `name`: of the table in family netdev. Nothing happens before write(). */
  constructor (private readonly netns: string, private readonly name: string) {}

  /** Replaces what the table holds, in one transaction. One call at a time. @throws unavailable LS_B_NFT with nft's own words. */
  async write (chains: string): Promise<void> {
    for (let tries = 1; ; tries++) {
      const first = !this.made
      const problem = await this.run(`${first ? `add table netdev ${this.name}; ` : ''}delete table netdev ${this.name}; table netdev ${this.name} { flags owner; ${oneLine(chains)} }`)
      if (problem === '') {
        this.made = true
        return
      }
      const owned = first && /not permitted/.test(problem)
      if (owned && tries < TRIES) {
        await sleep(TRY_MS)
        continue
      }
      if (first) await this.release()
      throw new LockstepError('unavailable', 'LS_B_NFT', 'the ingress chain was refused', {
        object: this.netns === '' ? 'this network namespace' : this.netns, found: problem,
        next: owned ? 'end the other agent of this agent.instance; if there is none, CAP_NET_ADMIN is missing' : 'the packet ports need CAP_NET_ADMIN, an nf_tables kernel from 5.12 on and nft from 0.9.9 on'
      })
    }
  }

  /** The table is gone when it returns. */
  async release (): Promise<void> {
    const { child } = this
    this.child = null
    this.made = false
    if (child === null || child.exitCode !== null || child.signalCode !== null) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
      child.on('close', () => { clearTimeout(timer); resolve() })
      child.stdin.end()
    })
  }

  /** What nft said, one line; empty: done. It prints nothing when a command succeeds, so an unknown word behind it marks the end. */
  private async run (line: string): Promise<string> {
    const mark = `end_${++this.marks}`
    const child = this.child ??= this.start()
    return await new Promise<string>((resolve) => {
      let text = ''
      const done = (problem: string): void => {
        clearTimeout(timer)
        child.stderr.off('data', hear)
        child.off('close', closed)
        child.off('error', failed)
        resolve(problem)
      }
      const hear = (part: string): void => {
        text += part
        const lines = text.split('\n')
        const end = lines.indexOf(mark)
        // The line before the mark is the complaint about it; one of carets may be left over from the mark before.
        if (end >= 0) done(lines.slice(0, end - 1).find(line => !/^[\s^~]*$/.test(line)) ?? '')
      }
      const closed = (): void => { done(text.split('\n')[0] || 'nft ended') }
      const failed = (cause: Error): void => { done(`nft cannot be started: ${cause.message}`) }
      const timer = setTimeout(() => { child.kill('SIGKILL'); done(`no answer in ${NFT_MS / 1000} s`) }, NFT_MS)
      child.stderr.on('data', hear)
      child.on('close', closed)
      child.on('error', failed)
      child.stdin.write(`${line}\n${mark}\n`)
    })
  }

  private start (): Nft {
    const [command, args] = this.netns === '' ? ['nft', ['-i']] : ['nsenter', [`--net=${this.netns}`, 'nft', '-i']]
    // Detached: Ctrl-C in a terminal is for the agent, which ends this when it has stopped forwarding.
    const child = spawn(command, args, { stdio: ['pipe', 'ignore', 'pipe'], env: { ...process.env, PATH: toolPath(), LC_ALL: 'C' }, detached: true })
    child.stderr.setEncoding('utf8')
    child.stdin.on('error', () => undefined)
    const gone = (): void => {
      if (this.child !== child) return
      this.child = null
      if (this.made) this.deaths++
      this.made = false
    }
    child.on('close', gone)
    child.on('error', gone)
    return child
  }
}

/** nft -i takes one line at a time, and a tab asks for a completion. */
const oneLine = (text: string): string => text.replaceAll('\t', ' ').replaceAll('\n', '; ')
