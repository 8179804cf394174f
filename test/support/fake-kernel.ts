import type { TestContext } from 'node:test'
import { type Kernel, kernel } from '../../src/syscalls/kernel.js'

/**
 * Puts functions in place of system calls for one test. Each gets the real one as its first argument, so that it can
 * fail once and go on.
 */
export function fakeKernel(
  t: TestContext,
  fakes: {
    [Name in keyof Kernel]?: Kernel[Name] extends (...args: infer Args) => infer Result
      ? (real: Kernel[Name], ...args: Args) => Result
      : never
  },
): void {
  const saved = { ...kernel }
  for (const [name, fake] of Object.entries(fakes) as [keyof Kernel, (...args: unknown[]) => unknown][]) {
    const real = saved[name]
    Object.assign(kernel, { [name]: (...args: unknown[]) => fake(real, ...args) })
  }
  t.after(() => Object.assign(kernel, saved))
}
