import { SyscallError } from '../errors.js'

/** The function that a user called: the stack of an error starts where that was. */
export type Called = (...args: never[]) => unknown

/** Passes a native result on, or throws the error it stands for. The stack starts where `called` was called. */
export function checked(
  value: number,
  syscall: string,
  where?: { address?: string; port?: number },
  called: Called = checked,
): number {
  if (value >= 0) return value
  const error = new SyscallError(value, syscall, where)
  Error.captureStackTrace(error, called)
  throw error
}
