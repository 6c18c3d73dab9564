/**
 * Looks through a few lines of a programming language that a command line carries. It understands none of them: what is
 * known to be harmless passes, and anything that could reach beyond computing is left to a human.
 */

/** Names that reach files, processes or the network, or that build code and names out of text, in any language. */
const REACHING = new RegExp(
  [
    '\\b(system|popen|spawn|fork|execv?p?e?|execFile|execSync|spawnSync|subprocess|child_process|shell_exec|passthru|proc_open|pty|backtick)\\b',
    '\\b(unlink|rmtree|rmdir|rmSync|rm_rf?|rm|remove|removedirs|truncate|chmod|chown|rename|symlink|kill|unlinkSync|FileUtils|shutil|pathlib|fs)\\b',
    '\\b(socket|urllib|requests|http|https|net|Net|fetch|curl|ftplib|smtplib|telnetlib|LWP|IO::Socket|dgram|websocket)\\b',
    '\\b(eval|exec|compile|__import__|importlib|getattr|setattr|globals|locals|builtins|__\\w+__|Function|constructor|Reflect|vm|ctypes|cffi|marshal|pickle|require_once|include)\\b',
    '\\b(b64decode|base64|fromCharCode|chr|unhexlify|fromhex|codecs|rot13|atob|pack|decode|zlib|bytes)\\b',
    '\\b(open|writeFile|writeFileSync|write_text|File|IO|Dir|Deno|Bun|process\\.binding|dlopen|environ|getenv|ENV|process\\.env)\\b',
    '`|qx\\b|%x\\b',
  ].join('|'),
)
/** Modules that only compute. */
const COMPUTING = new Set([
  ...[
    'json',
    'sys',
    'math',
    're',
    'datetime',
    'time',
    'random',
    'string',
    'statistics',
    'collections',
    'itertools',
    'functools',
  ],
  ...[
    'decimal',
    'fractions',
    'textwrap',
    'platform',
    'hashlib',
    'uuid',
    'calendar',
    'locale',
    'struct',
    'typing',
    'dataclasses',
    'csv',
    'path',
    'util',
    'crypto',
    'assert',
    'events',
    'url',
    'perf_hooks',
    'numpy',
    'pandas',
    'POSIX',
    'List::Util',
    'Data::Dumper',
    'strict',
    'warnings',
  ],
])
const IMPORTS = /\b(?:import|from|require|use)\b\s*\(?\s*['"]?(?:node:)?([\w.:]+(?:\s*,\s*[\w.]+)*)/g

/** What a human should look at; undefined for code that only computes. */
export function codeConcern(code: string): string | undefined {
  for (const [, list = ''] of code.matchAll(IMPORTS)) {
    const stranger = list.split(/\s*,\s*/).find((name) => !COMPUTING.has(name) && name !== 'import')
    if (stranger !== undefined) return `use ${stranger} in text that cannot be checked`
  }
  const reach = REACHING.exec(code)
  if (reach) return `use ${reach[0]} in text that cannot be checked`
  if (/\\(x[0-9a-f]{2}|u[0-9a-f]{4}|[0-7]{3})/i.test(code)) return 'run text with hidden characters'
  return undefined
}
