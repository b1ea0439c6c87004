/**
 * What a server's agent says of it, beside the probe: one line over TCP of the words that agents of HAProxy (agent-check) say: `75%`, `up`, `ready`, `drain`, `maint`,
 * `down`, `failed`, `stopped`; a comment behind `#`. Each answer is whole: what it does not say is as usual. An agent that does not answer says nothing, and
 * what it said last holds.
 */
import { connect } from 'node:net'
import type { ProbeOutcome } from '../../contract/health.js'
import type { Probe } from '../checker.js'
import { failed, from } from './outcome.js'

/** Per cent that it can take; `null`: it is down, by `reason`. */
export interface Said { readonly sharePct: number | null, readonly reason: string }

const LINE_MAX = 256
/** Of the timeout of the probe: an agent that hangs takes nobody down. */
const PART = 0.8

/** `null`: it says nothing that is known. */
export function parseAgent (line: string): Said | null {
  const [text = '', comment = ''] = line.split('#', 2)
  const words = text.trim().toLowerCase().split(/[\s,]+/)
  const has = (...known: readonly string[]): string | undefined => words.find(word => known.includes(word))
  const down = has('down', 'fail', 'failed', 'stopped')
  if (down !== undefined) return { sharePct: null, reason: `the agent says ${down}${comment.trim() === '' ? '' : `: ${comment.trim().slice(0, 200)}`}` }
  const percent = words.flatMap(word => /^(\d{1,3})%$/.exec(word)?.[1] ?? [])[0]
  if (has('drain', 'maint') !== undefined) return { sharePct: 0, reason: '' }
  if (percent !== undefined) return { sharePct: Math.min(100, Number(percent)), reason: '' }
  return has('up', 'ready') === undefined ? null : { sharePct: 100, reason: '' }
}

/** `answer`: null when it says nothing that is known. What it returns ends it. */
function ask (host: string, port: number, local: { readonly localAddress?: string }, send: string, timeoutMs: number, answer: (said: Said | null) => void): () => void {
  const socket = connect({ host, port, ...local })
  let text = ''
  const end = (): void => {
    clearTimeout(timer)
    socket.destroy()
    answer(parseAgent(text.split('\n', 1)[0] ?? ''))
  }
  const timer = setTimeout(end, timeoutMs)
  socket.setEncoding('latin1')
  socket.once('connect', () => { if (send !== '') socket.write(send) })
  socket.on('data', (part: string) => {
    text += part
    if (text.includes('\n') || text.length > LINE_MAX) end()
  })
  socket.on('end', end)
  socket.on('error', end)
  return () => {
    clearTimeout(timer)
    socket.destroy()
  }
}

/** The probe, and the agent of a check that has one, both at once. */
export function withAgent (probe: Probe): Probe {
  return (target, done) => {
    const { check, address } = target
    const { agent } = check
    if (agent === null) return probe(target, done)
    const beganAt = performance.now()
    let outcome: ProbeOutcome | null = null
    let said: Said | null | undefined
    let over = false
    let stopProbe = (): void => { /* it has not begun */ }
    const stop = (): void => {
      stopAgent()
      stopProbe()
    }
    const both = (): void => {
      if (over || outcome === null || (said === undefined && outcome.ok)) return
      over = true
      stop()
      if (!outcome.ok || said == null) done(outcome)
      else if (said.sharePct === null) done(failed(beganAt, 'agent', said.reason))
      else done({ ...outcome, sharePct: said.sharePct })
    }
    const stopAgent = ask(address, agent.port, from(check, address), agent.send, check.timeoutMs * PART, (answer) => {
      said = answer
      both()
    })
    stopProbe = probe(target, (found) => {
      outcome = found
      both()
    })
    return stop
  }
}
