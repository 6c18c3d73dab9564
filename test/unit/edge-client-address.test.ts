/**
 * Which address a request comes from, with and without proxies that are believed.
 */
import { expect, test } from 'vitest'
import { ClientAddresses, networkOf } from '../../src/edge/client-address.js'

const v4 = (text: string): Uint8Array => Uint8Array.from(text.split('.').map(Number))
const mapped = (text: string): Uint8Array => Uint8Array.from([...new Array(10).fill(0), 255, 255, ...v4(text)])
const v6 = (...groups: number[]): Uint8Array => Uint8Array.from(groups.flatMap((group) => [group >> 8, group & 255]))

const behind = (...trusted: string[]) => new ClientAddresses({ trusted, proxyProtocol: false })

test('without a proxy that is trusted, a request comes from its peer, whatever it says', () => {
  const nobody = new ClientAddresses()

  expect(nobody.of({ peer: v4('203.0.113.9'), forwardedFor: '1.2.3.4' })).toBe('203.0.113.9')
  expect(nobody.of({ peer: v4('203.0.113.9'), proxied: v4('1.2.3.4') })).toBe('203.0.113.9')
  expect(behind('10.0.0.0/8').of({ peer: v4('203.0.113.9'), forwardedFor: '1.2.3.4' })).toBe('203.0.113.9')
})

test('an IPv4 address in its form for IPv6 is the same address, of a peer and in a header', () => {
  expect(behind('10.0.0.0/8').of({ peer: mapped('203.0.113.9') })).toBe('203.0.113.9')
  expect(behind('10.0.0.0/8').of({ peer: mapped('10.0.0.1'), forwardedFor: '::ffff:203.0.113.9' })).toBe('203.0.113.9')
})

test.each([
  ['one proxy', '203.0.113.9', '203.0.113.9'],
  ['what the client has written before', '1.1.1.1, 203.0.113.9', '203.0.113.9'],
  ['a chain of proxies that are trusted', '203.0.113.9, 10.1.1.1, 10.2.2.2', '203.0.113.9'],
  ['a chain with a proxy that is not', '203.0.113.9, 198.51.100.1, 10.2.2.2', '198.51.100.1'],
  ['proxies alone', '10.1.1.1', '10.1.1.1'],
  ['ports', '203.0.113.9:4711', '203.0.113.9'],
  ['IPv6 with a port', '[2001:DB8::1]:4711', '2001:db8:0:0:0:0:0:1'],
  ['nothing', '', '10.0.0.1'],
  ['no address', 'unknown', '10.0.0.1'],
  ['an address behind something that is none', '203.0.113.9, unknown', '10.0.0.1'],
  ['something obfuscated', '_hidden', '10.0.0.1'],
])('behind a trusted proxy that says %s', (_what, forwardedFor, expected) => {
  expect(behind('10.0.0.0/8').of({ peer: v4('10.0.0.1'), forwardedFor })).toBe(expected)
})

test('a list that is longer than any path of proxies is read from its end, as far as it may matter', () => {
  const forwardedFor = ['1.1.1.1', ...new Array(1_000).fill('10.0.0.2')].join(',')

  expect(behind('10.0.0.0/8').of({ peer: v4('10.0.0.1'), forwardedFor })).toBe('10.0.0.2')
})

test('the PROXY protocol is believed of a trusted proxy, where the settings say so', () => {
  const peer = v4('10.0.0.1')
  const addresses = new ClientAddresses({ trusted: ['10.0.0.1'], proxyProtocol: true })

  expect(addresses.of({ peer, proxied: v4('203.0.113.9') })).toBe('203.0.113.9')
  expect(addresses.of({ peer, proxied: v4('203.0.113.9'), forwardedFor: '1.1.1.1' })).toBe('203.0.113.9')
  expect(addresses.of({ peer, proxied: new Uint8Array(), forwardedFor: '203.0.113.9' })).toBe('203.0.113.9')
  expect(addresses.of({ peer: v4('10.0.0.2'), proxied: v4('203.0.113.9') })).toBe('10.0.0.2')
  expect(behind('10.0.0.1').of({ peer, proxied: v4('203.0.113.9') })).toBe('10.0.0.1')
})

test('an address of IPv6 counts with its network of 64 bits, and one of IPv4 for itself', () => {
  const address = behind().of({ peer: v6(0x2001, 0xdb8, 0, 7, 1, 2, 3, 4) })

  expect(address).toBe('2001:db8:0:7:1:2:3:4')
  expect(networkOf(address)).toBe('2001:db8:0:7::')
  expect(networkOf('2001:db8:0:7:5:6:7:8')).toBe('2001:db8:0:7::')
  expect(networkOf('203.0.113.9')).toBe('203.0.113.9')
})

test('a transport that tells no peer tells no address', () => {
  expect(new ClientAddresses().of({ peer: new Uint8Array() })).toBe('')
})
