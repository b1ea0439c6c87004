/** Completions as bash makes them of the printed script: verbs, options, fixed words, and names that an agent knows. */
import t from 'tap'
import { execFile } from 'node:child_process'
import { chmodSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { packageRoot } from '../../../src/native/load.js'
import { temporaryDirectory, withServer } from '../rpc/with-server.js'
import { runCli } from './run-cli.js'

const run = promisify(execFile)
const has = async (shell: string): Promise<boolean> => await run(shell, ['-c', ':']).then(() => true, () => false)
const [bash, zsh] = [await has('bash'), await has('zsh')]

t.test('what bash offers', { skip: bash ? false : 'needs bash' }, async (t) => {
  const { directory, socketPath } = await withServer(t)
  const script = join(directory, 'completion')
  writeFileSync(script, (await runCli(['completion', 'bash'])).out)
  const program = join(directory, 'lockstep')
  writeFileSync(program, `#!/bin/sh\nexec env -u NODE_OPTIONS ${process.execPath} ${join(packageRoot(), 'dist/src/cli/main.js')} "$@"\n`)
  chmodSync(program, 0o755)
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

t.test('zsh takes the script', { skip: zsh ? false : 'needs zsh' }, async (t) => {
  const script = join(temporaryDirectory(t), 'completion')
  writeFileSync(script, (await runCli(['completion', 'zsh'])).out)
  const { stdout } = await run('zsh', ['-fc', `autoload -Uz compinit && compinit -D; source '${script}'; echo $(_lockstep_words 'lockstep backend'); whence -w _lockstep; echo $_comps[lockstep]`], { env: { ...process.env, HOME: tmpdir() } })
  t.match(stdout, /^list switch\n_lockstep: function\n.*_lockstep/)
})

t.test('without an agent a name is not known, and that is no error; other shells are refused', async (t) => {
  t.match(await runCli(['complete', 'vip'], { env: { LOCKSTEP_SOCKET: '/nowhere/agent.sock' } }), { code: 0, out: '' })
  t.match(await runCli(['complete', 'router']), { code: 0, out: '' })
  t.match(await runCli(['completion', 'fish']), { code: 2, err: /'fish' is invalid[^]*bash, zsh/ })
  t.match((await runCli(['completion', 'zsh'])).out, /^autoload .*bashcompinit/m)
})
