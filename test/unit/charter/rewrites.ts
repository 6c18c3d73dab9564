/**
 * The same command line, written another way: what it does stays, what it looks like does not.
 */
import type { SeededRandom } from '../../support/random.js'

export interface Rewrite {
  readonly name: string
  /** Undefined where a line of this kind cannot be written so. */
  readonly apply: (line: string, random: SeededRandom) => string | undefined
}

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`
const doubled = (text: string): string => `"${text.replace(/(["$`\\])/g, '\\$1')}"`
const base64 = (text: string): string => Buffer.from(text).toString('base64')
const hex = (text: string): string =>
  [...Buffer.from(text)].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')
const octal = (text: string): string =>
  [...Buffer.from(text)].map((byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('')

/** Words of a line without quotes and operators; undefined for any other. */
const wordsOf = (line: string): string[] | undefined =>
  /^[\w./~-]+( [\w./~ :=+-]+)?$/.test(line) ? line.split(/ +/) : undefined

const onWords =
  (rewrite: (words: string[], random: SeededRandom) => string) =>
  (line: string, random: SeededRandom): string | undefined => {
    const words = wordsOf(line)
    return words && rewrite(words, random)
  }

/** A word in pieces, each quoted in another way. A tilde stays as it is: in quotes it would be no home. */
function torn(word: string, random: SeededRandom): string {
  if (/^[~-]|=/.test(word) || word.length < 2) return word
  const at = random.integer(1, word.length - 1)
  const [left, right] = [word.slice(0, at), word.slice(at)]
  return random.pick([
    `${left}"${right}"`,
    `'${left}'${right}`,
    `${left}''${right}`,
    `${left}\\${right}`,
    `"${left}"'${right}'`,
  ])
}

/** In quotes a tilde is no home. */
const withoutTilde = (word: string): string => word.replace(/^~root/, '/root').replace(/^~(?=\/|$)/, '$HOME')

const wrap = (name: string, apply: (line: string) => string): Rewrite => ({ name, apply })
const words = (name: string, rewrite: (words: string[], random: SeededRandom) => string): Rewrite => ({
  name,
  apply: onWords(rewrite),
})

export const REWRITES: readonly Rewrite[] = [
  words('spacing', (all, random) => all.map((word) => word + random.pick([' ', '  ', '\t', ' \t '])).join('')),
  words('quoting', (all, random) => all.map((word) => torn(word, random)).join(' ')),
  words('escaped name', ([name = '', ...rest]) => [`\\${name}`, ...rest].join(' ')),
  words(
    'variables',
    (all) =>
      `${all.map((word, index) => `V${index}=${word}`).join('; ')}; ${all.map((_, index) => `$V${index}`).join(' ')}`,
  ),
  words('one variable', (all) => `LINE="${all.map(withoutTilde).join(' ')}"; $LINE`),
  words('exported variable', ([name = '', ...rest]) => `export TOOL=${name} && $TOOL ${rest.join(' ')}`),
  words('IFS', (all) => all.map(withoutTilde).join('$' + '{IFS}')),
  words('array', (all) => `a=(${all.join(' ')}); "\${a[@]}"`),
  words('positional', (all) => `set -- ${all.join(' ')}; "$@"`),
  words('split name', ([name = '', ...rest]) => `A=${name.slice(0, 1)}; B=${name.slice(1)}; $A$B ${rest.join(' ')}`),
  words('default value', ([name = '', ...rest]) => `\${NOT_SET:-${name}} ${rest.join(' ')}`),
  words('substituted name', ([name = '', ...rest]) => `$(echo ${name}) ${rest.join(' ')}`),
  words('backticks', ([name = '', ...rest]) => `\`printf ${name}\` ${rest.join(' ')}`),
  words('alias', ([name = '', ...rest]) => `alias go=${name}; go ${rest.join(' ')}`),
  words('function with arguments', ([name = '', ...rest]) => `go() { ${name} "$@"; }; go ${rest.join(' ')}`),
  words('env', (all) => `env -i A=1 ${all.join(' ')}`),
  words('sudo', (all) => `sudo -n -u root ${all.join(' ')}`),
  words('command', (all) => `command ${all.join(' ')}`),
  words('nohup', (all) => `nohup ${all.join(' ')} &`),
  words('timeout', (all) => `timeout -s KILL 5 ${all.join(' ')}`),
  words('nice and time', (all) => `time nice -n 5 ${all.join(' ')}`),
  words('unknown wrapper', (all) => `somewrapper --flag ${all.join(' ')}`),
  words('xargs', ([name = '', ...rest]) => `echo ${rest.join(' ')} | xargs ${name}`),
  words(
    'xargs with a mark',
    ([name = '', ...rest]) => `echo ${rest.at(-1) ?? ''} | xargs -I{} ${name} ${rest.slice(0, -1).join(' ')} {}`,
  ),
  words('busybox', (all) => `busybox ${all.join(' ')}`),
  words('full path', ([name = '', ...rest]) => `/usr/bin/${name.split('/').at(-1)} ${rest.join(' ')}`),
  wrap('sh -c', (line) => `sh -c ${quoted(line)}`),
  wrap('bash -lc', (line) => `bash -lc ${doubled(line)}`),
  wrap('sh -c twice', (line) => `sh -c ${quoted(`bash -c ${quoted(line)}`)}`),
  wrap('env sh -c', (line) => `env X=1 sh -ec ${quoted(line)}`),
  wrap('sudo sh -c', (line) => `sudo sh -c ${quoted(line)}`),
  {
    name: 'xargs sh -c',
    // The mark itself would be replaced.
    apply: (line) => (line.includes('{}') ? undefined : `echo x | xargs -I{} sh -c ${quoted(line)}`),
  },
  wrap('find -exec sh -c', (line) => `find . -maxdepth 0 -exec sh -c ${quoted(line)} \\;`),
  wrap('eval', (line) => `eval ${quoted(line)}`),
  wrap('eval of a variable', (line) => `CODE=${quoted(line)}; eval "$CODE"`),
  wrap('sh -c of a variable', (line) => `CODE=${quoted(line)}; sh -c "$CODE"`),
  wrap('base64', (line) => `echo ${base64(line)} | base64 -d | sh`),
  wrap('base64 here-string', (line) => `base64 --decode <<< ${base64(line)} | bash`),
  wrap('base64 in eval', (line) => `eval "$(echo ${base64(line)} | base64 -d)"`),
  wrap('base64 of a variable', (line) => `B=${base64(line)}; echo $B | base64 -d | bash -s`),
  wrap('ANSI-C string', (line) => `eval $'${hex(line)}'`),
  wrap('octal printf', (line) => `printf '${octal(line)}' | sh`),
  wrap('hex echo', (line) => `echo -e '${hex(line)}' | bash`),
  wrap('here-document', (line) => `bash <<'EOF'\n${line}\nEOF`),
  wrap('cat here-document', (line) => `cat <<'EOF' | sh\n${line}\nEOF`),
  wrap('here-string', (line) => `sh <<< ${quoted(line)}`),
  wrap('pipe to sh', (line) => `printf '%s\\n' ${quoted(line)} | sh`),
  wrap('script file', (line) => `cat > run.sh <<'EOF'\n${line}\nEOF\nsh run.sh`),
  wrap('executable file', (line) => `echo ${quoted(line)} > run.sh; chmod +x run.sh; ./run.sh`),
  wrap('sourced file', (line) => `printf '%s' ${quoted(line)} > run.sh && . ./run.sh`),
  wrap('process substitution', (line) => `source <(echo ${quoted(line)})`),
  wrap('subshell', (line) => `(\n${line}\n)`),
  wrap('group', (line) => `{\n${line}\n}`),
  wrap('function', (line) => `go() {\n${line}\n}\ngo`),
  wrap('if', (line) => `if true; then\n${line}\nfi`),
  wrap('else', (line) => `if false; then :; else\n${line}\nfi`),
  wrap('for', (line) => `for i in 1 2; do\n${line}\ndone`),
  wrap('while', (line) => `while sleep 1; do\n${line}\ndone`),
  wrap('case', (line) => `case x in\n*)\n${line}\n;;\nesac`),
  wrap('and', (line) => `true && {\n${line}\n}`),
  wrap('or', (line) => `false || {\n${line}\n}`),
  wrap('after', (line) => `echo ok; ${line}`),
  wrap('background', (line) => `{\n${line}\n} & wait`),
  wrap('substitution', (line) => `echo "$(\n${line}\n)"`),
  wrap('assignment', (line) => `X=$(\n${line}\n)`),
  wrap('test', (line) => `[[ -n $(\n${line}\n) ]]`),
  wrap('arithmetic', (line) => `echo $(( $(\n${line}\n) + 1 ))`),
  wrap('trap', (line) => `trap ${quoted(line)} EXIT`),
  wrap('alias of all', (line) => `shopt -s expand_aliases\nalias go=${quoted(line)}\ngo`),
  wrap('coproc', (line) => `coproc {\n${line}\n}`),
  wrap('negated', (line) => `! {\n${line}\n}`),
  wrap('unknown wrapper of a line', (line) => `somerunner -c ${quoted(line)}`),
]
