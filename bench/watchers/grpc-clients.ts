/**
 * A process of watchers, each with a connection of its own, half of them at the agent's socket and half through the gateway: sessions, objects and events in turn.
 * Changes of sessions are counted by their lengths and not decoded: what a program makes of them is not what is measured.
 */
import { connect as connectHttp2, type ClientHttp2Session, type ClientHttp2Stream } from 'node:http2'
import { connect } from 'node:net'
import { EventMessages, EventsWatchRequest } from '../../src/generated/proto/lockstep/v1/events.js'
import { ObjectKind, ObjectMessages, ObjectsWatchRequest } from '../../src/generated/proto/lockstep/v1/objects.js'
import { SessionsWatchRequest } from '../../src/generated/proto/lockstep/v1/sessions.js'
import { FrameReader, changesIn } from './frames.js'
import { answerParent, cpuMs } from './report.js'

const [socketPath = '', portText = '0', watchersText = '0'] = process.argv.slice(2)
const [port, watchers] = [Number(portText), Number(watchersText)]
const AGAIN_MS = 500
const WINDOW = 1 << 20
const kinds = [ObjectKind.OBJECT_KIND_VIP, ObjectKind.OBJECT_KIND_AGENT, ObjectKind.OBJECT_KIND_GROUP, ObjectKind.OBJECT_KIND_PEER, ObjectKind.OBJECT_KIND_LINK, ObjectKind.OBJECT_KIND_GENERATION]

let [told, lost, gaps, resyncs, broken, problem, stopping] = [0, 0, 0, 0, 0, '', false]

/** What is asked for, from where it was, and what comes. */
interface Watch {
  readonly path: string
  readonly request: () => Uint8Array
  readonly read: (message: Buffer) => void
  whole: boolean
  /** Broken streams cannot go on where they were. */
  readonly forgets: boolean
}

function watchSessions (): Watch & { readonly counted: () => number } {
  let counted = 0
  const watch = {
    path: '/lockstep.v1.Sessions/Watch', forgets: true, whole: false, counted: () => counted,
    request: () => SessionsWatchRequest.encode({ filter: undefined, columns: [], snapshot: false }).finish(),
    read: (message: Buffer) => {
      const found = changesIn(message)
      told += found.changes
      lost += found.lost
      counted += found.changes + found.lost
      watch.whole = true
    }
  }
  return watch
}

function watchObjects (kind: ObjectKind): Watch {
  let [token, revision, begun] = ['', 0n, 0]
  const watch = {
    path: '/lockstep.v1.Objects/Watch', forgets: false, whole: false,
    request: () => ObjectsWatchRequest.encode({ kind, keys: [], token }).finish(),
    read: (bytes: Buffer) => {
      for (const { message } of ObjectMessages.decode(bytes).messages) {
        switch (message?.$case) {
          case 'hello': if (!message.value.resumed) revision = 0n; break
          case 'begin': if (begun++ > 0) resyncs++; revision = 0n; break
          case 'put': case 'delete': told++; break
          case 'commit': case 'progress':
            if (message.value.previous !== revision) gaps++
            ;({ token, revision } = message.value)
            break
          case 'synced': watch.whole = true; break
          default:
        }
      }
    }
  }
  return watch
}

function watchJournal (): Watch {
  let after = ''
  const watch = {
    path: '/lockstep.v1.Events/Watch', forgets: false, whole: false,
    request: () => EventsWatchRequest.encode({ minLevel: 'debug', areas: [], names: [], after }).finish(),
    read: (bytes: Buffer) => {
      watch.whole = true
      for (const { id, name, fields } of EventMessages.decode(bytes).events) {
        told++
        const [epoch = '', seq = '0'] = id.split('-')
        const [before = '', last = '0'] = after.split('-')
        const missing = epoch === before ? Number(seq) - Number(last) - 1 : 0
        const said = name === 'events-lost' ? Number(fields.find(field => field.name === 'lost')?.value?.value ?? 0) : 0
        lost += said
        if (after !== '' && (missing < 0 || (missing > 0 && said === 0))) gaps += Math.abs(missing)
        after = id
      }
    }
  }
  return watch
}

class Watcher {
  private session: ClientHttp2Session | null = null
  constructor (readonly watch: Watch, private readonly local: boolean) {}

  open (): void {
    if (stopping) return
    const session = connectHttp2('http://localhost', { createConnection: () => this.local ? connect(socketPath) : connect(port, '127.0.0.1'), settings: { initialWindowSize: WINDOW, enablePush: false } })
    this.session = session
    session.on('connect', () => { session.setLocalWindowSize(WINDOW) })
    session.on('error', (error: Error) => { problem = error.message })
    const stream: ClientHttp2Stream = session.request({ ':method': 'POST', ':path': this.watch.path, 'content-type': 'application/grpc', te: 'trailers' })
    const frames = new FrameReader(message => { this.watch.read(message) })
    stream.on('data', (chunk: Buffer) => { frames.push(chunk) })
    const status = (headers: Readonly<Record<string, unknown>>): void => { if (headers['grpc-status'] !== undefined && headers['grpc-status'] !== '0') problem = `${this.watch.path}: ${decodeURIComponent(String(headers['grpc-message']))}` }
    stream.on('response', status)
    stream.on('trailers', status)
    stream.on('error', (error: Error) => { problem = error.message })
    stream.on('close', () => {
      session.destroy()
      if (stopping) return
      broken++
      this.watch.whole = false
      if (this.watch.forgets) resyncs++
      setTimeout(() => { this.open() }, AGAIN_MS)
    })
    const body = this.watch.request()
    const head = Buffer.alloc(5)
    head.writeUInt32BE(body.length, 1)
    stream.end(Buffer.concat([head, body]))
  }

  close (): void { this.session?.destroy() }
}

const sessionWatches: Array<ReturnType<typeof watchSessions>> = []
const all = Array.from({ length: watchers }, (_, i) => {
  if (i % 3 === 1) return new Watcher(watchObjects(kinds[Math.floor(i / 3) % kinds.length] ?? ObjectKind.OBJECT_KIND_VIP), i % 2 === 0)
  if (i % 3 === 2) return new Watcher(watchJournal(), i % 2 === 0)
  const watch = watchSessions()
  sessionWatches.push(watch)
  return new Watcher(watch, i % 2 === 0)
})
answerParent(
  () => ({ clients: watchers, whole: all.filter(({ watch }) => watch.whole).length, told, lost, gaps, resyncs, broken, sessions: sessionWatches.map(({ counted }) => counted()), cpuMs: cpuMs(), problem }),
  () => { stopping = true; for (const watcher of all) watcher.close() })
for (const watcher of all) watcher.open()
