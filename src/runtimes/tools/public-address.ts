/**
 * Which network addresses a model may reach: public ones. Everything else belongs to the host, its network or its
 * cloud (metadata services hand out credentials to whoever asks from inside).
 */
import { lookup } from 'node:dns'
import { BlockList, isIP, isIPv4, isIPv6, type LookupFunction } from 'node:net'

// IANA's special-purpose registries; multicast and reserved space included.
const IPV4_RANGES: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
]
/** Of IPv6 only global unicast is public, without what embeds or tunnels to an IPv4 address. */
const IPV6_GLOBAL = ['2000::', 3] as const
const IPV6_RANGES: readonly (readonly [string, number])[] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
]

const privateV4 = blockList(IPV4_RANGES, 'ipv4')
const privateV6 = blockList(IPV6_RANGES, 'ipv6')
const globalV6 = blockList([IPV6_GLOBAL], 'ipv6')

function blockList(ranges: readonly (readonly [string, number])[], family: 'ipv4' | 'ipv6'): BlockList {
  const list = new BlockList()
  for (const [network, prefix] of ranges) list.addSubnet(network, prefix, family)
  return list
}

/** Whether `address`, an IPv4 or IPv6 address in any notation, is public. Anything else is not. */
export function isPublicAddress(address: string): boolean {
  if (isIPv4(address)) return !privateV4.check(address, 'ipv4')
  if (!isIPv6(address)) return false
  const plain = address.replace(/%.*$/, '')
  return globalV6.check(plain, 'ipv6') && !privateV6.check(plain, 'ipv6')
}

/** The host of a URL as an IP address, when it is written as one. */
export function literalAddress(hostname: string): string | undefined {
  const bare = hostname.replace(/^\[|\]$/g, '')
  return isIP(bare) === 0 ? undefined : bare
}

export class PrivateAddress extends Error {
  override readonly name = 'PrivateAddress'
  constructor(host: string) {
    super(`The address of ${host} is not public; only public addresses may be fetched`)
  }
}

/**
 * Resolves names for a socket and fails when any address is private. It sits inside the connection, so the address that
 * was checked is the one connected to: a name that changes its answer between check and use gains nothing.
 */
export const publicLookup: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, { ...options, all: true }, (error, addresses) => {
    if (error) return callback(error, '')
    const [first] = addresses
    if (first === undefined || addresses.some(({ address }) => !isPublicAddress(address))) {
      return callback(new PrivateAddress(hostname), '')
    }
    if (options.all) callback(null, addresses)
    else callback(null, first.address, first.family)
  })
}
