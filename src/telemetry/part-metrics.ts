/**
 * Whether the parts that this process stands on work, and how full its disks are: asked when the page is read.
 */
import { statfs } from 'node:fs/promises'
import { Gauge, type Registry } from 'prom-client'
import type { HealthReport } from './health.js'

export interface PartMetrics {
  /** The checks share one answer with /ready and /health, and end in time by themselves. */
  watchParts(check: () => Promise<HealthReport>): void
  /** Folders by what they hold. One that is not there yet shows nothing. */
  watchFolders(folders: Readonly<Record<string, string>>): void
}

export function partMetrics(registry: Registry): PartMetrics {
  return {
    watchParts: (check) => {
      new Gauge({
        name: 'orchestrator_part_up',
        help: '1 when a part that this process stands on works',
        labelNames: ['part'],
        registers: [registry],
        async collect() {
          const { checks } = await check()
          for (const [part, { status }] of Object.entries(checks)) this.set({ part }, status === 'healthy' ? 1 : 0)
        },
      })
    },
    watchFolders: (folders) => {
      diskGauge(registry, folders, 'orchestrator_disk_size_bytes', 'Size of the disk under a folder', (it) => it.blocks)
      diskGauge(registry, folders, 'orchestrator_disk_free_bytes', 'Free for us under a folder', (it) => it.bavail)
    },
  }
}

function diskGauge(
  registry: Registry,
  folders: Readonly<Record<string, string>>,
  name: string,
  help: string,
  blocksOf: (disk: { readonly blocks: number; readonly bavail: number }) => number,
): void {
  new Gauge({
    ...{ name, help, labelNames: ['folder'], registers: [registry] },
    async collect() {
      for (const [folder, path] of Object.entries(folders)) {
        const disk = await statfs(path).catch(() => undefined)
        if (disk) this.set({ folder }, blocksOf(disk) * disk.bsize)
        else this.remove({ folder })
      }
    },
  })
}
