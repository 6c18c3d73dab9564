/**
 * Programs that talk to other machines.
 */
import { type Field, headOf, shown, textOf } from './field.js'
import { type Invocation, named, type Program, type Programs } from './host.js'
import { hasOption, operandsOf, valuesOf } from './options.js'
import { touch } from './paths.js'
import { noteWritten } from './redirection.js'
import { DOWNLOAD, NOTHING, type Stream, UNKNOWN } from './stream.js'

const CURL_VALUES = [
  '-o',
  '-H',
  '-d',
  '-X',
  '-u',
  '-A',
  '-e',
  '-b',
  '-c',
  '-F',
  '-T',
  '-x',
  '-w',
  '-m',
  '-K',
  '-E',
  '-r',
  '--output',
  '--header',
  '--data',
  '--request',
  '--user',
  '--user-agent',
  '--max-time',
  '--retry',
  '--connect-timeout',
  '--cacert',
  '--url',
  '--data-raw',
  '--data-binary',
  '--json',
  '--form',
  '--write-out',
  '--proxy',
  '--output-dir',
  '--retry-delay',
  '--resolve',
  '--data-urlencode',
  '--oauth2-bearer',
]
const CURL_SENDS = [
  '-d',
  '-F',
  '-T',
  '--data',
  '--data-raw',
  '--data-binary',
  '--data-urlencode',
  '--form',
  '--upload-file',
  '--json',
]
/** Answers with the credentials of the machine itself. */
const METADATA = /169\.254\.169\.254|metadata\.google\.internal|100\.100\.100\.200|fd00:ec2::254/

const curl: Program = (call) => {
  const { shell, args, scope } = call
  const urls = [...operandsOf(args, CURL_VALUES), ...valuesOf(args, ['--url'])]
  requests(call, urls)
  const sent = valuesOf(args, CURL_SENDS, CURL_VALUES)
  const methods = valuesOf(args, ['-X', '--request'], CURL_VALUES).map((method) => shown(method))
  if (sent.length > 0 || methods.some((method) => !/^(GET|HEAD|OPTIONS)$/i.test(method))) {
    shell.report('network.send', `sends data to ${hostsOf(urls)}`)
  }
  for (const body of sent) sendsFile(call, body)
  for (const config of valuesOf(args, ['-K', '--config'], CURL_VALUES)) {
    touch(shell, 'read', config, scope)
    shell.unresolved('lets a file say what curl does')
  }
  for (const file of valuesOf(args, ['-c', '--cookie-jar', '-D', '--dump-header', '--trace', '--stderr'], CURL_VALUES))
    touch(shell, 'write', file, scope)
  for (const directory of valuesOf(args, ['--output-dir'])) touch(shell, 'write', directory, scope)
  const targets = valuesOf(args, ['-o', '--output'], CURL_VALUES)
  if (hasOption(args, '-O', '--remote-name', '-J')) targets.push(...urls.map(lastPart))
  return savedTo(call, targets)
}

/** `@file` is sent; one outside of the workspace must be asked for. */
function sendsFile({ shell, scope }: Invocation, body: Field): void {
  const at = headOf(body).lastIndexOf('@')
  const file: Field =
    at >= 0
      ? [
          headOf(body)
            .slice(at + 1)
            .replace(/;.*/, ''),
          ...body.slice(1),
        ]
      : body
  if (at < 0 && !/^[/~.]/.test(headOf(body))) return
  for (const place of shell.places.resolve(file, scope.directories)) {
    const zone = shell.places.zoneOf(place)
    if (zone === 'outside' || zone === 'system')
      shell.report('secrets.send', `sends ${shown(file)}, which is not of this workspace`)
    if (zone === 'workspace' && /\.(env|pem|key|p12|pfx|kdbx)$|\/\.env(\.|$)/.test(place.path ?? ''))
      shell.report('secrets.send', `sends ${shown(file)}, which holds credentials`)
  }
}

const wget: Program = (call) => {
  const { shell, args } = call
  const urls = operandsOf(args, [
    '-O',
    '-P',
    '-o',
    '-U',
    '-t',
    '-T',
    '-e',
    '-i',
    '--output-document',
    '--header',
    '--directory-prefix',
    '--post-data',
    '--post-file',
    '--timeout',
    '--tries',
  ])
  requests(call, urls)
  const files = valuesOf(args, ['--post-file', '--body-file'])
  for (const file of files) sendsFile(call, ['@', ...file])
  if (files.length > 0 || valuesOf(args, ['--post-data', '--body-data', '--method']).length > 0)
    shell.report('network.send', `sends data to ${hostsOf(urls)}`)
  if (valuesOf(args, ['-e', '--execute', '--use-askpass']).length > 0) shell.unresolved('changes what wget does')
  for (const directory of valuesOf(args, ['-P', '--directory-prefix'])) touch(shell, 'write', directory, call.scope)
  const targets = valuesOf(args, ['-O', '--output-document'], ['-P', '-o', '-U', '-t', '-T', '-e', '-i'])
  return savedTo(call, targets.length > 0 ? targets.map(stdoutDash) : urls.map(lastPart))
}

const stdoutDash = (field: Field): Field => (textOf(field) === '-' ? ['/dev/stdout'] : field)

function savedTo({ shell, scope }: Invocation, targets: readonly Field[]): Stream {
  let toOutput = targets.length === 0
  for (const target of targets) {
    if (/^(-|\/dev\/stdout|\/dev\/fd\/1)$/.test(textOf(target) ?? '')) toOutput = true
    else {
      touch(shell, 'write', target, scope)
      noteWritten(shell, target, DOWNLOAD, scope)
    }
  }
  return toOutput ? DOWNLOAD : NOTHING
}

function requests({ shell, scope }: Invocation, urls: readonly Field[]): void {
  shell.report('network.request', `asks ${hostsOf(urls)}`)
  for (const url of urls) {
    const text = shown(url)
    if (METADATA.test(text)) shell.report('secrets.read', `asks ${text} for the credentials of this machine`)
    if (/^file:/i.test(text)) touch(shell, 'read', [text.replace(/^file:(\/\/)?/i, '')], scope)
    if (/^(gopher|dict|telnet|ldap|smb|tftp):/i.test(text)) shell.report('network.raw', `speaks with ${text}`)
  }
}

const hostsOf = (urls: readonly Field[]): string => urls.map((url) => shown(url)).join(' ') || 'a server'

const lastPart = (url: Field): Field => {
  const name = textOf(url)
    ?.replace(/[?#].*/, '')
    .split('/')
    .at(-1)
  return name ? [name] : [{ hole: 'name' }]
}

const rawConnection: Program = ({ shell, args, name }) => {
  const text = args.map((arg) => shown(arg)).join(' ')
  const runs =
    hasOption(args, '-e', '-c', '--exec', '--sh-exec', '--lua-exec') || /\b(EXEC|SYSTEM|SHELL|OPEN):/i.test(text)
  if (runs) shell.report('remote.shell', `lets ${name} give a program to whoever connects`)
  else if (!hasOption(args, '-z', '-h')) shell.report('network.raw', `opens a connection with ${name}`)
  return DOWNLOAD
}

const scanner: Program = ({ shell, name }) => {
  shell.report('network.raw', `probes other machines with ${name}`)
  return UNKNOWN
}

const lookup: Program = ({ shell, name, args }) => {
  if (args.some((arg) => textOf(arg) === undefined))
    return shell.unresolved(`asks with ${name} for a name that is only known then`)
  shell.report('network.request', `looks up names with ${name}`)
  return UNKNOWN
}

const mail: Program = ({ shell, name }) => {
  shell.report('network.send', `sends data with ${name}`)
  return UNKNOWN
}

export const NETWORK_PROGRAMS: Programs = {
  ...{ curl, wget },
  ...named(curl, 'http https httpie xh aria2c lynx w3m links fetch'),
  ...named(rawConnection, 'nc ncat netcat socat telnet cryptcat websocat openssl-s'),
  ...named(
    scanner,
    'nmap masscan zmap hydra sqlmap nikto tcpdump tshark ettercap arpspoof hping3 john hashcat',
    'msfconsole aircrack-ng responder ngrok cloudflared',
  ),
  ...named(lookup, 'dig nslookup host ping ping6 traceroute whois'),
  ...named(mail, 'mail mailx sendmail mutt ftp lftp sftp tftp'),
}
