/** `lockstep run`: one agent in the foreground, until a signal ends it. Exit codes as in docs/cli.md. */
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { pino, type Logger } from 'pino'
import { explain, startAgent, type Agent } from './agent.js'
import { LockstepError } from './contract/errors.js'

export interface RunOptions {
  readonly config: string | null
  readonly backend: string | null
  readonly socketPath: string | null
  readonly stateDirectory: string | null
  readonly instance: string | null
  readonly logLevel: string
}

/** Lines for machines on standard error; for people when it is a terminal. */
export function createLog (level: string): Logger {
  if (!process.stderr.isTTY) return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination({ fd: 2, sync: true }))
  return pino({ level, base: null, transport: { target: 'pino-pretty', options: { destination: 2, ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss.l' } } })
}

export async function readConfigFile (path: string): Promise<{ readonly text: string, readonly path: string }> {
  try {
    return { text: await readFile(path, 'utf8'), path: resolve(path) }
  } catch (error) {
    throw new LockstepError('invalid', 'LS_A_CONFIG_FILE', 'the configuration cannot be read', { object: path, found: (error as Error).message, next: 'check the path' }, error)
  }
}

/** Runs until SIGTERM or SIGINT (returns 0) or until the start fails (the error). SIGHUP reads the configuration again. */
export async function runUntilSignal (agent: Agent, log: Logger, extraStop: () => Promise<void> = async () => undefined): Promise<number> {
  return await new Promise<number>((done) => {
    let stopping = false
    const end = (signal: string): void => {
      if (stopping) return
      stopping = true
      log.info({ signal }, 'stopping')
      const timer = setTimeout(() => { log.error('stopping took more than 5 s'); done(1) }, 5000)
      void extraStop().then(async () => { await agent.stop() }).then(() => 0, (error: unknown) => { log.error({ err: error }, 'stopping failed'); return 1 })
        .then((code) => { clearTimeout(timer); log.info('stopped'); done(code) })
    }
    process.on('SIGTERM', () => { end('SIGTERM') })
    process.on('SIGINT', () => { end('SIGINT') })
    process.on('SIGHUP', () => {
      agent.reload().then(() => { log.info('configuration read again') }, (error: unknown) => { log.error(`the configuration was refused, the last good one stays in force\n${explain(error)}`) })
    })
  })
}

export async function runAgent (o: RunOptions): Promise<number> {
  const log = createLog(o.logLevel)
  const config = o.config === null ? null : await readConfigFile(o.config)
  let agent: Agent
  try {
    agent = await startAgent({ config, socketPath: o.socketPath, stateDirectory: o.stateDirectory, instance: o.instance, backend: o.backend, log })
  } catch (error) {
    process.stderr.write(`${explain(error)}\n`)
    return 1
  }
  log.info({ socket: agent.socketPath, pid: process.pid }, 'agent ready')
  return await runUntilSignal(agent, log)
}
