import { isIPv6 } from 'node:net'
import { shown } from '../arguments.js'
import { addressBytes, addressText } from './ip.js'

const NAME_MAX = 253
const LABEL_MAX = 63

/**
 * A name as DNS could have it: ASCII letters, digits, `-` and `_`, in labels of 1 … 63 characters.
 * @returns it in lower case and without a dot at its end; null if it is none
 */
export function dnsName(text: string): string | null {
  const end = text.endsWith('.') ? text.length - 1 : text.length
  if (end < 1 || end > NAME_MAX) return null
  let label = 0
  for (let i = 0; i < end; i++) {
    const code = text.charCodeAt(i)
    if (code === 0x2e) {
      if (label === 0) return null
      label = 0
    } else if (!isNameCharacter(code) || ++label > LABEL_MAX) return null
  }
  return label === 0 ? null : text.slice(0, end).toLowerCase()
}

function isNameCharacter(code: number): boolean {
  const letter = code | 0x20
  return (letter >= 0x61 && letter <= 0x7a) || (code >= 0x30 && code <= 0x39) || code === 0x2d || code === 0x5f
}

/** A host of a URL: a name, an IPv4 address, or an IPv6 address in brackets, written in one way only; null: none of them. */
export function urlHost(text: string): string | null {
  if (!text.startsWith('[')) return dnsName(text)
  const address = text.slice(1, -1)
  if (!text.endsWith(']') || !isIPv6(address) || address.includes('%')) return null
  return `[${addressText(addressBytes(address) as Uint8Array)}]`
}

/**
 * What is asked for by name: exactly, or by `*.example.com`, which stands for one label, as in certificates
 * (`a.example.com`, but neither `example.com` nor `a.b.example.com`). Case does not matter, nor a dot at the end.
 */
export class HostNames<Value> {
  readonly #exact = new Map<string, Value>()
  /** By what follows the `*`, from its dot on. */
  readonly #wildcards = new Map<string, Value>()

  get size(): number {
    return this.#exact.size + this.#wildcards.size
  }

  /**
   * The value of a pattern, made by `make` if there is none yet.
   * @param option  what the pattern is called in errors
   * @throws {TypeError} the pattern is no name
   */
  ensure(option: string, pattern: string, make: () => Value): Value {
    const wildcard = pattern.startsWith('*.')
    const name = wildcard ? dnsName(pattern.slice(2)) : urlHost(isIPv6(pattern) ? `[${pattern}]` : pattern)
    if (name === null) {
      throw new TypeError(
        `${option}: a name such as example.com or *.example.com (others than ASCII as xn--…), not ${shown(pattern)}`,
      )
    }
    const [map, at] = wildcard ? [this.#wildcards, `.${name}`] : [this.#exact, name]
    const value = map.get(at) ?? make()
    map.set(at, value)
    return value
  }

  exact(name: string): Value | undefined {
    return this.#exact.get(name)
  }

  wildcard(name: string): Value | undefined {
    const dot = name.indexOf('.')
    return dot < 1 ? undefined : this.#wildcards.get(name.slice(dot))
  }
}
