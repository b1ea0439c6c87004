/** A process of browsers that are nothing but sockets: /api/stream, the ids of messages, and a reconnection with the last one. */
import { connect, type Socket } from 'node:net'
import { answerParent, cpuMs } from './report.js'

const [portText = '0', clientsText = '0'] = process.argv.slice(2)
const [port, clients] = [Number(portText), Number(clientsText)]
/** Connections that are opened at a time: they come from somewhere, one after the other. */
const OPEN_A_TURN = 20
const TURN_MS = 10
const AGAIN_MS = 1000
const MESSAGE = /(?:^|\n)id: ([0-9a-f]+)-(\d+)\nevent: (\w+)\n/
const LOST = /"event":"events-lost".*"lost":(\d+)/

let [told, lost, gaps, resyncs, broken, problem, stopping] = [0, 0, 0, 0, 0, '', false]

class Browser {
  private socket: Socket | null = null
  private tail = ''
  private epoch = ''
  private seq = -1
  whole = false

  open (): void {
    if (stopping) return
    this.tail = ''
    const from = this.seq < 0 ? '' : `Last-Event-ID: ${this.epoch}-${this.seq}\r\n`
    this.socket = connect(port, '127.0.0.1', () => { this.socket?.write(`GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n${from}\r\n`) }).setEncoding('latin1')
    this.socket.on('data', (text: string) => { this.read(text) })
    this.socket.on('error', (error) => { problem = error.message })
    this.socket.on('close', () => {
      if (stopping) return
      broken++
      this.whole = false
      setTimeout(() => { this.open() }, AGAIN_MS)
    })
  }

  close (): void { this.socket?.destroy() }

  private read (text: string): void {
    const parts = (this.tail + text).split('\n\n')
    this.tail = parts.pop() ?? ''
    for (const part of parts) this.message(part)
  }

  private message (part: string): void {
    const found = MESSAGE.exec(part)
    if (found === null) {
      if (part.includes('event: resumed')) this.whole = true
      else if (part.startsWith('HTTP/1.1') && !part.startsWith('HTTP/1.1 200')) problem = part.split('\r\n')[0] ?? ''
      return
    }
    const [, epoch = '', digits = '', event] = found
    const seq = Number(digits)
    if (event === 'state') {
      if (this.seq >= 0) resyncs++
      this.whole = true
    } else {
      told++
      if (epoch !== this.epoch || seq !== this.seq + 1) gaps += epoch === this.epoch ? Math.abs(seq - this.seq - 1) : 1
      const said = part.includes('events-lost') ? LOST.exec(part) : null
      if (said !== null) lost += Number(said[1])
    }
    this.epoch = epoch
    this.seq = seq
  }
}

const browsers = Array.from({ length: clients }, () => new Browser())
answerParent(
  () => ({ clients, whole: browsers.filter(({ whole }) => whole).length, told, lost, gaps, resyncs, broken, sessions: [], cpuMs: cpuMs(), problem }),
  () => { stopping = true; for (const browser of browsers) browser.close() })
let opened = 0
const opening = setInterval(() => {
  for (const browser of browsers.slice(opened, opened + OPEN_A_TURN)) browser.open()
  opened += OPEN_A_TURN
  if (opened >= clients) clearInterval(opening)
}, TURN_MS)
