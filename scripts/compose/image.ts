/**
 * The images: built as a user builds them, weighed, and looked into.
 */
import { call, docker } from './docker.js'
import { ROOT } from './machine.js'

/** A minute on two idle cores; a registry may be far away. */
const BUILD_TIMEOUT_MS = 300_000
const MB = 1_000_000
const SDK = '@anthropic-ai/claude-agent-sdk'

export interface Images {
  readonly full: string
  readonly slim: string
  /** The full image under another name and id, for an upgrade. */
  readonly next: string
}

export const imagesOf = (name: string): Images => ({ full: `${name}:full`, slim: `${name}:slim`, next: `${name}:next` })

/** Builds all three. */
export async function buildImages({ full, slim, next }: Images): Promise<void> {
  const registry = await call('npm', ['config', 'get', 'registry'])
  const build = async (target: readonly string[], tag: string) => {
    const args = ['build', '--file', 'deploy/Dockerfile', '--build-arg', `NPM_CONFIG_REGISTRY=${registry}`, ...target]
    await docker([...args, '--tag', tag, '.'], { cwd: ROOT, timeoutMs: BUILD_TIMEOUT_MS })
  }
  await build([], full)
  await build(['--target', 'slim'], slim)
  await build(['--label', 'upgrade=next'], next)
}

/** Their layers stay with the engine, so that the next build is short. */
export async function removeImages(images: Images): Promise<void> {
  for (const image of Object.values(images)) await docker(['image', 'rm', '--no-prune', image]).catch(() => {}) // Not built.
}

export async function sizeOf(image: string): Promise<number> {
  return Number(await docker(['image', 'inspect', '--format', '{{.Size}}', image]))
}

export const megabytes = (bytes: number): string => `${Math.round(bytes / MB)} MB`

/** One sentence for everything about the images that is not as promised. */
export async function imageFaults({ full, slim }: Images): Promise<string[]> {
  const faults: string[] = []
  const expectThat = (holds: boolean, sentence: string): void => {
    if (!holds) faults.push(sentence)
  }
  for (const image of [full, slim]) {
    expectThat((await inside(image, 'id -u')) === '1000', `${image} does not run as user 1000`)
    const binaries = await inside(image, 'ls node_modules/uWebSockets.js | grep -c "^uws_.*node$"')
    expectThat(binaries === '1', `${image} has ${binaries} binaries of uWebSockets.js`)
    const written = await inside(image, 'touch /app/x /usr/x 2>/dev/null && echo yes || echo no')
    expectThat(written === 'no', `${image} can be written to by its user`)
    const secret = await inside(image, 'cat /proc/1/environ >/dev/null 2>&1 && echo yes || echo no')
    expectThat(secret === 'no', `the environment of the service in ${image} can be read by its user`)
  }
  expectThat(await loadsSdk(full), `${full} does not load ${SDK}`)
  expectThat(!(await loadsSdk(slim)), `${slim} has ${SDK}, and should not`)
  const version = await docker(['run', '--rm', '--read-only', '--tmpfs', '/tmp', slim, '--version'])
  expectThat(/^\d+\.\d+\.\d+$/.test(version), `${slim} --version says ${version}`)
  return faults
}

/** Of a shell below the image's own PID 1. */
const inside = (image: string, line: string): Promise<string> =>
  docker(['run', '--rm', '--entrypoint', '/usr/bin/tini', image, '--', 'bash', '-c', line])

const loadsSdk = (image: string): Promise<boolean> =>
  inside(image, `node --input-type=module -e "await import('${SDK}')" && echo yes || echo no`).then(
    (answer) => answer === 'yes',
  )
