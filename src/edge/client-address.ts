/**
 * The address that a request comes from. A proxy speaks for others: what it says is believed when the settings name it,
 * and of a chain of proxies only as far back as they are named. Everything before that anybody may have written.
 */
import { BlockList, isIP } from 'node:net'

/** What a request shows of the way it came. */
export interface NetworkPath {
  /** Who holds the other end of the connection: 4 or 16 bytes. */
  readonly peer: Uint8Array
  /** Whom the peer names by the PROXY protocol, version 2; empty without. */
  readonly proxied?: Uint8Array | undefined
  /** All headers `X-Forwarded-For` in their order, with commas between them; '' without. */
  readonly forwardedFor?: string | undefined
}

export interface ProxySettings {
  /** Addresses and networks (`10.0.0.0/8`) of proxies. */
  readonly trusted: readonly string[]
  /** Whether they say by the PROXY protocol whom they speak for. */
  readonly proxyProtocol: boolean
}

/** More proxies in a row than any real path has. */
const MAX_HOPS = 16
const IPV6_GROUPS = 8
/** What one customer of a provider gets: whoever has one address of it has all. */
const IPV6_NETWORK_GROUPS = 4

export class ClientAddresses {
  readonly #trusted: BlockList | undefined
  readonly #proxyProtocol: boolean

  constructor({ trusted, proxyProtocol }: ProxySettings = { trusted: [], proxyProtocol: false }) {
    this.#trusted = trusted.length === 0 ? undefined : blockListOf(trusted)
    this.#proxyProtocol = proxyProtocol
  }

  /** The nearest address that no trusted proxy has; '' when the transport tells none. */
  of({ peer, proxied, forwardedFor = '' }: NetworkPath): string {
    const nearest = textOf(peer)
    if (!this.#trusts(nearest)) return nearest
    const announced = this.#proxyProtocol && proxied ? textOf(proxied) : ''
    return this.#behind(announced || nearest, forwardedFor)
  }

  #behind(nearest: string, forwardedFor: string): string {
    let address = nearest
    for (const entry of forwardedFor.split(',').slice(-MAX_HOPS).reverse()) {
      if (!this.#trusts(address)) return address
      const next = addressIn(entry)
      if (next === undefined) return address
      address = next
    }
    return address
  }

  #trusts(address: string): boolean {
    const family = isIP(address)
    return family !== 0 && this.#trusted?.check(address, family === 4 ? 'ipv4' : 'ipv6') === true
  }
}

/** Under which an address is counted: itself, or for IPv6 its network of 64 bits. */
export function networkOf(address: string): string {
  if (isIP(address) !== 6) return address
  return `${groupsOf(address).slice(0, IPV6_NETWORK_GROUPS).join(':')}::`
}

function blockListOf(networks: readonly string[]): BlockList {
  const list = new BlockList()
  for (const network of networks) {
    const [address = '', prefix] = network.split('/')
    const family = isIP(address) === 4 ? 'ipv4' : 'ipv6'
    if (prefix === undefined) list.addAddress(address, family)
    else list.addSubnet(address, Number(prefix), family)
  }
  return list
}

/** Proxies write `203.0.113.9`, some `203.0.113.9:4711` or `[2001:db8::1]:4711`; undefined for anything else. */
function addressIn(entry: string): string | undefined {
  const text = entry.trim()
  const bare = /^\[([^\]]+)\](?::\d+)?$/.exec(text)?.[1] ?? /^([\d.]+):\d+$/.exec(text)?.[1] ?? text
  if (isIP(bare) === 0 || bare.includes('%')) return undefined
  return isIP(bare) === 4 ? bare : plainIpv6(groupsOf(bare))
}

function textOf(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.')
  if (bytes.length !== 16) return ''
  const groups = Array.from({ length: IPV6_GROUPS }, (_each, index) => {
    return (((bytes[2 * index] ?? 0) << 8) | (bytes[2 * index + 1] ?? 0)).toString(16)
  })
  return plainIpv6(groups)
}

/** An IPv4 address in its form for IPv6 is the IPv4 address. Otherwise all groups, without leading zeros. */
function plainIpv6(groups: readonly string[]): string {
  const isMapped = groups.slice(0, 5).every((group) => group === '0') && groups[5] === 'ffff'
  if (!isMapped) return groups.join(':')
  const [high = 0, low = 0] = groups.slice(6).map((group) => Number.parseInt(group, 16))
  return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.')
}

/** The eight groups of an IPv6 address, however it is written. */
function groupsOf(address: string): string[] {
  const hex = address.toLowerCase().replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_whole, ...bytes: string[]) => {
    const [a = 0, b = 0, c = 0, d = 0] = bytes.slice(0, 4).map(Number)
    return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`
  })
  const [head = '', tail] = hex.split('::')
  const parts = (text: string | undefined): string[] => (text ? text.split(':') : [])
  const [first, last] = [parts(head), parts(tail)]
  const zeros = tail === undefined ? [] : new Array<string>(IPV6_GROUPS - first.length - last.length).fill('0')
  return [...first, ...zeros, ...last].map((group) => group.replace(/^0+(?=.)/, ''))
}
