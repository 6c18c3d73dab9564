/** The package brings no types; this is what we use of it. */
declare module 'pino-roll' {
  interface Options {
    readonly file: string
    /** For example `10m`. */
    readonly size: string
    readonly limit: { readonly count: number; readonly removeOtherLogFiles: boolean }
    readonly mkdir: boolean
    readonly sync: boolean
  }

  interface Stream {
    write(text: string): boolean
    on(event: 'error', handler: (error: Error) => void): this
  }

  export default function roll(options: Options): Promise<Stream>
}
