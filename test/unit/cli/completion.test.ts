/** Completions as bash makes them of the printed script: verbs, options, fixed words, and names that an agent knows. */
import t from 'tap'
import { execFile } from 'node:child_process'
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { packageRoot } from '../../../src/native/load.js'
import { withServer } from '../rpc/with-server.js'
import { noPty, onTerminal } from './pty.js'
import { runCli } from './run-cli.js'

const run = promisify(execFile)
const has = async (shell: string): Promise<boolean> => await run(shell, ['-c', ':']).then(() => true, () => false)
const [bash, zsh] = [await has('bash'), await has('zsh')]

function programIn (directory: string): string {
  const program = join(directory, 'lockstep')
  writeFileSync(program, `#!/bin/sh\nexec env -u NODE_OPTIONS ${process.execPath} ${join(packageRoot(), 'dist/src/cli/main.js')} "$@"\n`)
  chmodSync(program, 0o755)
  return program
}

t.test('what bash offers', { skip: bash ? false : 'needs bash' }, async (t) => {
  const { directory, socketPath } = await withServer(t)
  const script = join(directory, 'completion')
  writeFileSync(script, (await runCli(['completion', 'bash'])).out)
  const program = programIn(directory)
  const offered = async (line: string): Promise<string> => {
    const words = [program, ...line.split(' ').slice(1)].map(word => `'${word}'`).join(' ')
    const { stdout } = await run('bash', ['--norc', '-c', `source '${script}'; COMP_WORDS=(${words}); COMP_CWORD=$((\${#COMP_WORDS[@]} - 1)); _lockstep; echo "\${COMPREPLY[*]}"`], { env: { ...process.env, LOCKSTEP_SOCKET: socketPath } })
    return stdout.trim()
  }
  t.match(await offered('lockstep s'), /\bsave sessions\b|\bsessions\b/)
  t.equal(await offered('lockstep backend '), 'list switch')
  t.equal(await offered('lockstep backend sw'), 'switch')
  t.match(await offered('lockstep backend switch --f'), /^--force$/)
  t.equal(await offered('lockstep watch t'), 'target')
  t.equal(await offered('lockstep vip list '), 'dns web')
  t.equal(await offered('lockstep vip list --json w'), 'web')
  t.equal(await offered('lockstep watch target h'), 'http/10.0.0.2:8080')
  t.match(await offered('lockstep watch target --'), /--count.*--for/)
  t.equal(await offered('lockstep events --level w'), 'warn')
  t.equal(await offered('lockstep sessions list --vip '), 'dns web')
  t.equal(await offered('lockstep real drain web/'), 'web/a web/b web/sorry')
  t.equal(await offered('lockstep shell --k'), '--keep-going')
  t.equal(await offered('lockstep nothing '), await offered('lockstep '))
})

/** Said when it edits a line. */
const READY = /\x1b\[\?2004h/

t.test('what zsh completes, as it is typed', { skip: zsh ? noPty : 'needs zsh' }, async (t) => {
  const { directory, socketPath } = await withServer(t)
  const script = join(directory, 'completion')
  writeFileSync(script, (await runCli(['completion', 'zsh'])).out)
  programIn(directory)
  const pty = onTerminal(t, ['zsh', '-f', '-i'], { env: { LOCKSTEP_SOCKET: socketPath, HOME: directory, ZDOTDIR: directory, PATH: `${directory}:${process.env.PATH ?? ''}` } })
  t.ok(await pty.sees(READY), pty.text())
  pty.type(`source '${script}'; echo sour''ced\r`)
  t.ok(await pty.sees(/sourced/))
  t.ok(await pty.sees(READY))
  for (const [typed, rest] of [['lockstep backend sw', /itch\x1b/], ['lockstep backend switch --fo', /rce\x1b/], ['lockstep events --level wa', /rn\x1b/], ['lockstep vip list we', /b\x1b/]] as const) {
    pty.type(typed)
    t.ok(await pty.sees(new RegExp(`${typed.slice(-2)}`)))
    pty.type('\t')
    t.ok(await pty.sees(rest), `${typed}: ${pty.text().slice(-300)}`)
    pty.type('\x15')
  }
})

t.test('without an agent a name is not known, and that is no error; other shells are refused', async (t) => {
  t.match(await runCli(['complete', 'vip'], { env: { LOCKSTEP_SOCKET: '/nowhere/agent.sock' } }), { code: 0, out: '' })
  t.match(await runCli(['complete', 'router']), { code: 0, out: '' })
  t.match(await runCli(['completion', 'fish']), { code: 2, err: /'fish' is invalid[^]*bash, zsh/ })
  t.match((await runCli(['completion', 'zsh'])).out, /^autoload .*bashcompinit/m)
})
