/** Endpoints as text: what each means, and what is said of each wrong form. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MisuseError } from 'cede'
import { MemoryEndpoint, TcpEndpoint, UnixEndpoint } from './endpoints.ts'
import { endpointOfUrl } from './endpoint-url.ts'

test('each valid form is the endpoint that is meant', () => {
  for (const [url, kind, address] of [
    ['tcp://127.0.0.1:8080', TcpEndpoint, '127.0.0.1:8080'],
    ['tcp://127.0.0.1:0', TcpEndpoint, '127.0.0.1:0'],
    ['tcp://127.0.0.1:80/', TcpEndpoint, '127.0.0.1:80'],
    ['TCP://Example.com:65535', TcpEndpoint, 'Example.com:65535'],
    ['tcp://[::1]:0', TcpEndpoint, '[::1]:0'],
    ['tcp://*:80', TcpEndpoint, '*:80'],
    ['unix:///run/x.sock', UnixEndpoint, 'unix:/run/x.sock'],
    ['unix:/run/x.sock', UnixEndpoint, 'unix:/run/x.sock'],
    ['unix:///run/a%20b.sock?mode=660', UnixEndpoint, 'unix:/run/a b.sock'],
    ['unix:///run/x.sock?mode=0600', UnixEndpoint, 'unix:/run/x.sock'],
    ['memory://name', MemoryEndpoint, 'memory:name'],
    ['memory://name/', MemoryEndpoint, 'memory:name'],
  ] as const) {
    for (const given of [url, new URL(url)]) {
      const endpoint = endpointOfUrl('startServer()', given, {})
      assert.ok(endpoint instanceof kind, url)
      assert.equal(endpoint.address, address)
    }
  }
})

test('each wrong form is refused, with what was expected, what was found, and what to write', () => {
  for (const [url, expected] of [
    ['', 'a URL'],
    ['127.0.0.1:80', 'a URL'],
    ['localhost:80', 'a URL that begins with tcp:, unix: or memory:'],
    ['/run/x.sock', 'a URL'],
    ['http://127.0.0.1:80', 'a URL that begins with tcp:, unix: or memory:'],
    ['tcp://127.0.0.1', 'tcp://host:port'],
    ['tcp://:80', 'a URL'],
    ['tcp://127.0.0.1:65536', 'a URL'],
    ['tcp://127.0.0.1:-1', 'a URL'],
    ['tcp:127.0.0.1:80', 'tcp://host:port'],
    ['tcp://127.0.0.1:80/path', 'tcp://host:port'],
    ['tcp://127.0.0.1:80?mode=660', 'a URL without parameters'],
    ['tcp://user@127.0.0.1:80', 'a URL without a user and a fragment'],
    ['tcp://user:secret@127.0.0.1:80', 'a URL without a user and a fragment'],
    ['tcp://127.0.0.1:80#x', 'a URL without a user and a fragment'],
    ['unix://run/x.sock', 'unix:///path'],
    ['unix://', 'unix:///path'],
    ['unix:///', 'unix:///path'],
    ['unix:///x?mode=9', 'a mode in octal, as ?mode=660'],
    ['unix:///x?mode=', 'a mode in octal, as ?mode=660'],
    ['unix:///x?mode=rw', 'a mode in octal, as ?mode=660'],
    ['unix:///x?node=660', 'no parameter but mode'],
    ['memory://', 'memory://name'],
    ['memory://name:80', 'memory://name'],
    ['memory://name/path', 'memory://name'],
    ['memory://name?x=1', 'a URL without parameters'],
    ['tcp://%:80', 'two hexadecimal digits behind each %'],
    ['tcp://a%zz:80', 'two hexadecimal digits behind each %'],
    ['unix:///%', 'two hexadecimal digits behind each %'],
    ['memory://%', 'two hexadecimal digits behind each %'],
  ] as const) {
    assert.throws(
      () => endpointOfUrl('openConnection()', url, {}),
      (error) => {
        assert.ok(error instanceof MisuseError, `${url}: ${String(error)}`)
        assert.ok(
          error.message.startsWith(`openConnection(): expected ${expected}, found `),
          `${url}: ${error.message}`,
        )
        assert.match(
          error.message,
          /; write `\{ host, port \}`, .*or `'memory:\/\/name'`$|; write `'(tcp|unix):\/\/[^`]*'`$/,
        )
        assert.ok(!error.message.includes('secret'), 'passwords are not printed')
        return true
      },
    )
  }
})

test('what people type without a scheme is told with one', () => {
  for (const [given, instead] of [
    ['localhost:80', "`'tcp://localhost:80'`"],
    ['127.0.0.1:80', "`'tcp://127.0.0.1:80'`"],
    ['[::1]:80', "`'tcp://[::1]:80'`"],
    ['/run/x.sock', "`'unix:///run/x.sock'`"],
  ] as const) {
    assert.throws(
      () => endpointOfUrl('openConnection()', given, {}),
      (error) => error instanceof MisuseError && error.message.endsWith(`; write ${instead}`),
    )
  }
})
