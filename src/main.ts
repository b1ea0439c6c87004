/** `lockstep run`: one agent in the foreground, until a signal ends it. Exit codes as in docs/cli.md. */
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { resolve } from 'node:path'
import { pino, type Logger } from 'pino'
import { explain, startAgent, type Agent } from './agent.js'
import { LockstepError } from './contract/errors.js'

export interface RunOptions {
  readonly config: string | null
  readonly backend: string | null
  /** How a VPP is spoken to, whatever the configuration says. */
  readonly vppTransport: string | null
  readonly socketPath: string | null
  readonly stateDirectory: string | null
  readonly instance: string | null
  /** Which node of the file this is; `null`: as configured, else the host name. */
  readonly node: string | null
  /** `null`: as configured. */
  readonly logLevel: string | null
}

const LOG_BYTES_MAX = 4 << 20
/** Tries of 100 ms each before lines for a reader that does not read are given up. */
const LOG_TRIES_MAX = 50
let ending = false

/** Lines for machines on standard error; for people when it is a terminal. Nobody reading must not stop the agent: lines wait in memory, then go. */
export function createLog (level: string): Logger {
  const tty = process.stderr.isTTY // asking makes a pipe non-blocking
  if (tty) return pino({ level, base: null, transport: { target: 'pino-pretty', options: { destination: 2, ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss.l' } } })
  let tries = 0
  const destination = pino.destination({ fd: 2, sync: false, maxLength: LOG_BYTES_MAX, retryEAGAIN: () => !ending && ++tries < LOG_TRIES_MAX })
  destination.on('write', () => { tries = 0 })
  destination.on('error', () => { tries = 0 })
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, destination)
}

/** More than any configuration the parser takes; a device or a log by mistake is not read to its end. */
const FILE_BYTES_MAX = 16 << 20

export async function readConfigFile (path: string): Promise<{ readonly text: string, readonly path: string }> {
  const refuse = (what: string, found: string, expected: string | undefined, cause?: unknown): never => {
    throw new LockstepError('invalid', 'LS_A_CONFIG_FILE', what, { object: path, found, ...(expected === undefined ? {} : { expected }), next: 'check the path' }, cause)
  }
  let bytes: Uint8Array
  try {
    const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
    try {
      const stat = await file.stat()
      if (!stat.isFile()) refuse('the configuration cannot be read', stat.isDirectory() ? 'a directory' : 'a device or pipe', 'a file')
      if (stat.size > FILE_BYTES_MAX) refuse('the configuration is too long', `${stat.size} bytes`, `at most ${FILE_BYTES_MAX}`)
      bytes = await file.readFile()
    } finally {
      await file.close()
    }
  } catch (error) {
    if (error instanceof LockstepError) throw error
    return refuse('the configuration cannot be read', (error as Error).message, undefined, error)
  }
  try {
    return { text: new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes), path: resolve(path) }
  } catch (error) {
    return refuse('the configuration is not UTF-8', 'bytes that are no character', 'UTF-8 text', error)
  }
}

/** What a signal does now; set as the agent goes from starting to running. */
interface Signals { end: (signal: string) => void, reload: () => void }

/** From the first moment on: a signal while starting must not leave ports claimed behind. */
export function listenToSignals (): Signals {
  const signals: Signals = { end: () => {}, reload: () => {} }
  process.on('SIGTERM', () => { signals.end('SIGTERM') })
  process.on('SIGINT', () => { signals.end('SIGINT') })
  process.on('SIGHUP', () => { signals.reload() })
  return signals
}

const STOP_MS = 5000

/** Runs until SIGTERM or SIGINT (returns 0). SIGHUP reads the configuration again. A stop that hangs ends the process with 1. */
export async function runUntilSignal (agent: Agent, log: Logger, extraStop: () => Promise<void> = async () => undefined, signals: Signals = listenToSignals()): Promise<number> {
  return await new Promise<number>((done) => {
    let stopping = false
    signals.end = (signal) => {
      if (stopping) return
      stopping = true
      log.info({ signal }, 'stopping')
      const timer = setTimeout(() => {
        log.error(`stopping took more than ${STOP_MS / 1000} s`)
        done(1)
        setTimeout(() => process.exit(1), 200).unref() // whatever hangs would keep the process
      }, STOP_MS)
      void extraStop().then(async () => { await agent.stop() }).then(() => 0, (error: unknown) => { log.error({ err: error }, 'stopping failed'); return 1 })
        .then((code) => { clearTimeout(timer); log.info('stopped'); ending = true; done(code) })
    }
    signals.reload = () => {
      if (stopping) return
      agent.reload().then(() => { log.info('configuration read again') }, (error: unknown) => { log.error(`the configuration was refused, the last good one stays in force\n${explain(error)}`) })
    }
  })
}

export async function runAgent (o: RunOptions): Promise<number> {
  const log = createLog(o.logLevel ?? 'info')
  const signals = listenToSignals()
  const starting = new AbortController()
  let ended: string | null = null
  signals.end = (signal) => {
    ended = signal
    log.info({ signal }, 'stopping')
    starting.abort(new Error(`${signal} while starting`))
  }
  let agent: Agent
  try {
    const config = o.config === null ? null : await readConfigFile(o.config)
    agent = await startAgent({ config, socketPath: o.socketPath, stateDirectory: o.stateDirectory, instance: o.instance, node: o.node, backend: o.backend, vppTransport: o.vppTransport, log, followLogLevel: o.logLevel === null, signal: starting.signal })
  } catch (error) {
    if (ended !== null) {
      log.info('stopped')
      return 0
    }
    process.stderr.write(`${explain(error)}\n`)
    return 1
  }
  log.info({ socket: agent.socketPath, pid: process.pid }, 'agent ready')
  const running = runUntilSignal(agent, log, undefined, signals)
  if (ended !== null) signals.end(ended)
  return await running
}

/** Removes what an agent that is gone left in the kernel; false: there was nothing. */
export async function teardown (instance: string): Promise<boolean> {
  const { removeInstance } = await import('./backend/registry.js')
  return await removeInstance(instance)
}
